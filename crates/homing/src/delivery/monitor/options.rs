//! How a monitor works, beyond what the configuration says.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::events::MonitorEvent;
use crate::config::{RouteConfig, SinkConfig, SinkKind};
use crate::delivery::sinks::Sink;
use crate::{Error, Result};

/// How long a monitor that is to stop waits for sinks at work. After that their wakes are handed back: the next
/// monitor waits for what is left of them, and sends them again.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a monitor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MonitorUntil {
    /// Until it is told to stop. Where another one is active, it waits and takes over.
    #[default]
    Stopped,
    /// Until no job runs and nothing will have to be told. Where another one is active, that one does the work.
    Idle,
    /// Until nothing is due now. Where another one is active, that one does the work.
    NothingDue,
}

/// How a monitor works, beyond what the configuration says.
#[derive(Clone, Default)]
pub struct MonitorOptions {
    pub(super) until: MonitorUntil,
    pub(super) sinks: Vec<(String, Arc<dyn Sink>)>,
    pub(super) routes: Vec<RouteConfig>,
    pub(super) command: Option<SinkConfig>,
    observer: Option<Observer>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) stop_timeout: Option<Duration>,
}

/// Whoever wants to hear what a monitor does.
type Observer = Arc<dyn Fn(&MonitorEvent) + Send + Sync>;

impl MonitorOptions {
    /// A monitor that runs until it is stopped, with the sinks and routes of the configuration.
    pub fn new() -> MonitorOptions {
        MonitorOptions::default()
    }

    /// Sets how long it runs.
    #[must_use]
    pub fn until(self, until: MonitorUntil) -> MonitorOptions {
        MonitorOptions { until, ..self }
    }

    /// Adds a sink of the host's own, in its own process. One of that name in the configuration gives way.
    #[must_use]
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink + 'static) -> MonitorOptions {
        self.sinks.push((name.into(), Arc::new(sink)));
        self
    }

    /// Adds a route: sessions that fit `pattern` (`*` is any text, `?` any character) are woken by that sink. Routes
    /// that are added are tried in their order, and before those of the configuration.
    #[must_use]
    pub fn route(mut self, pattern: impl Into<String>, sink: impl Into<String>) -> MonitorOptions {
        self.routes.push(RouteConfig { session: Some(pattern.into()), harness: None, sink: sink.into() });
        self
    }

    /// Adds a program that is started for every wake, of whatever session: a command sink with the document
    /// `homing.wake/1` on its standard input. It runs in the current directory. Its name is `command`, and its route
    /// comes before all others.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where this is no proper command.
    pub fn command<I: IntoIterator<Item = S>, S: Into<String>>(self, argv: I) -> Result<MonitorOptions> {
        let argv = argv.into_iter().map(Into::into).collect();
        let mut sink = SinkConfig::from_command(argv).map_err(Error::InvalidRequest)?;
        if let SinkKind::Command(command) = &mut sink.kind {
            command.directory = std::env::current_dir().ok();
        }
        Ok(MonitorOptions { command: Some(sink), ..self })
    }

    /// Sets who hears what it does. Called from the monitor's own thread: it must not block.
    #[must_use]
    pub fn observe(self, observer: impl Fn(&MonitorEvent) + Send + Sync + 'static) -> MonitorOptions {
        MonitorOptions { observer: Some(Arc::new(observer)), ..self }
    }

    /// Sets how often [`MonitorEvent::Alive`] is sent; never without this. It is the only thing that makes an idle
    /// monitor wake up.
    #[must_use]
    pub fn heartbeat(self, every: Duration) -> MonitorOptions {
        MonitorOptions { heartbeat: Some(every), ..self }
    }

    /// Sets how long a monitor that is to stop waits for sinks at work; 30 s otherwise.
    #[must_use]
    pub fn stop_timeout(self, timeout: Duration) -> MonitorOptions {
        MonitorOptions { stop_timeout: Some(timeout), ..self }
    }

    pub(super) fn report(&self, event: &MonitorEvent) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl fmt::Debug for MonitorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sinks: Vec<&str> = self.sinks.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("MonitorOptions")
            .field("until", &self.until)
            .field("sinks", &sinks)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// Why a monitor returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorEnd {
    /// It was told to stop.
    Stopped,
    /// What it was to do is done.
    Done,
    /// Another one is active, and does it.
    LeftToAnother,
}
