//! Settings of a monitor: the configuration and the options of its host. Reloaded when the user changes the file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homing_core::{Pace, RetryPolicy};

use super::options::{MonitorOptions, MonitorUntil};
use crate::Result;
use crate::config::{Config, RouteConfig};
use crate::delivery::routes::Router;
use crate::delivery::sinks::{SinkContext, from_config};

/// The name of the sink that [`MonitorOptions::command`] adds.
const COMMAND_SINK: &str = "command";

/// The current settings.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) router: Router,
    pub(super) policy: RetryPolicy,
    pub(super) pace: Pace,
    /// How many attempts may run at once.
    pub(super) concurrency: usize,
    /// The sink that tells a person about dead wakes.
    pub(super) alert: Option<String>,
}

impl Settings {
    /// # Errors
    /// If a sink cannot be created: a file it names cannot be read or is not safe.
    pub(super) fn new(config: &Config, home: &Path, options: &MonitorOptions) -> Result<Settings> {
        let mut router = Router::from_config(config, home)?;
        for (name, sink) in &options.sinks {
            router.add_sink(name, Arc::clone(sink));
        }
        for route in options.routes.iter().rev() {
            router.add_route(route.clone());
        }
        if let Some(command) = &options.command {
            router.add_sink(COMMAND_SINK, from_config(command, &SinkContext { home })?);
            router.add_route(RouteConfig { session: None, harness: None, sink: COMMAND_SINK.to_owned() });
        }
        // A monitor that only delivers what is due now does not wait for a batch.
        let batch_window = match options.until {
            MonitorUntil::NothingDue => Duration::ZERO,
            MonitorUntil::Stopped | MonitorUntil::Idle => config.monitor.batch_window,
        };
        Ok(Settings {
            router,
            policy: config.monitor.retry_policy(),
            pace: Pace { batch_window, wakes_per_hour: config.monitor.wakes_per_hour },
            concurrency: config.monitor.concurrency.max(1),
            alert: config.monitor.alert.clone(),
        })
    }
}
