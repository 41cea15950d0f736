//! Options of a monitor that are not in the configuration file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::events::MonitorEvent;
use crate::config::{RouteConfig, SinkConfig, SinkKind};
use crate::delivery::sinks::Sink;
use crate::{Error, Result};

/// How long a stopping monitor waits for attempts in flight. After that the next monitor waits for the processes of
/// these attempts, and sends their wakes again.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a monitor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MonitorUntil {
    /// Until it is stopped. If another monitor is active, it stands by and takes over.
    #[default]
    Stopped,
    /// Until no job runs and nothing is undelivered. Returns at once if another monitor is active.
    Idle,
    /// Until nothing is due now. Returns at once if another monitor is active.
    NothingDue,
}

/// Options of a monitor that are not in the configuration file.
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

/// A callback that receives the events of a monitor.
type Observer = Arc<dyn Fn(&MonitorEvent) + Send + Sync>;

impl MonitorOptions {
    /// Options for a monitor that runs until it is stopped, with the sinks and routes of the configuration.
    pub fn new() -> MonitorOptions {
        MonitorOptions::default()
    }

    /// Sets how long it runs.
    #[must_use]
    pub fn until(self, until: MonitorUntil) -> MonitorOptions {
        MonitorOptions { until, ..self }
    }

    /// Adds a sink that runs in the host's own process. It replaces a configured sink of the same name.
    #[must_use]
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink + 'static) -> MonitorOptions {
        self.sinks.push((name.into(), Arc::new(sink)));
        self
    }

    /// Adds a route: this sink wakes sessions that match `pattern` (`*` is any text, `?` any character). Added routes
    /// are tried in their order, before those of the configuration.
    #[must_use]
    pub fn route(mut self, pattern: impl Into<String>, sink: impl Into<String>) -> MonitorOptions {
        self.routes.push(RouteConfig { session: Some(pattern.into()), harness: None, sink: sink.into() });
        self
    }

    /// Adds a command sink for all sessions: it starts this program for every wake, with the document `homing.wake/1`
    /// on its standard input, in the current directory. The sink is named `command`, and its route comes before all
    /// others.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the command is invalid.
    pub fn command<I: IntoIterator<Item = S>, S: Into<String>>(self, argv: I) -> Result<MonitorOptions> {
        let argv = argv.into_iter().map(Into::into).collect();
        let mut sink = SinkConfig::from_command(argv).map_err(Error::InvalidRequest)?;
        if let SinkKind::Command(command) = &mut sink.kind {
            command.directory = std::env::current_dir().ok();
        }
        Ok(MonitorOptions { command: Some(sink), ..self })
    }

    /// Sets the observer of its events. The monitor calls it from its own thread, so it must not block.
    #[must_use]
    pub fn observe(self, observer: impl Fn(&MonitorEvent) + Send + Sync + 'static) -> MonitorOptions {
        MonitorOptions { observer: Some(Arc::new(observer)), ..self }
    }

    /// Sets the interval of [`MonitorEvent::Alive`]; never by default. An idle monitor wakes up for nothing else.
    #[must_use]
    pub fn heartbeat(self, every: Duration) -> MonitorOptions {
        MonitorOptions { heartbeat: Some(every), ..self }
    }

    /// Sets how long a stopping monitor waits for attempts in flight; 30 s by default.
    #[must_use]
    pub fn stop_timeout(self, timeout: Duration) -> MonitorOptions {
        MonitorOptions { stop_timeout: Some(timeout), ..self }
    }

    pub(super) fn report(&self, event: &MonitorEvent) {
        match event {
            MonitorEvent::Warning { message } => tracing::warn!("{message}"),
            MonitorEvent::Alive => tracing::trace!("monitor {event}"),
            // The reason may quote the output of a harness.
            MonitorEvent::Answered { wake, session, delivery, .. } => {
                tracing::debug!(wake = %wake, session = %session, delivery = delivery.as_str(), "monitor answered");
            }
            other => tracing::debug!("monitor {other}"),
        }
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
    /// It was stopped.
    Stopped,
    /// Its work is done.
    Done,
    /// Another monitor is active and does the work.
    LeftToAnother,
}
