//! Notifies the service manager about the monitor: sd_notify(3). Does nothing without a service manager.

use std::time::Duration;

use homing::MonitorEvent;
use sd_notify::NotifyState;

/// The connection to the service manager.
#[derive(Debug)]
pub(crate) struct Supervision {
    watchdog: Option<Duration>,
}

impl Supervision {
    /// Reads the settings of the service manager from the environment.
    pub(crate) fn from_environment() -> Supervision {
        Supervision { watchdog: sd_notify::watchdog_enabled() }
    }

    /// The interval of watchdog notifications; `None` without a watchdog.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2).filter(|every| !every.is_zero())
    }

    /// Notifies the service manager of an event.
    pub(crate) fn notify_event(&self, event: &MonitorEvent) {
        match event {
            // A standby monitor is ready too.
            MonitorEvent::Active | MonitorEvent::Standby { .. } => {
                notify(&[NotifyState::Ready, NotifyState::Status(&event.to_string())]);
            }
            MonitorEvent::Alive if self.watchdog.is_some() => notify(&[NotifyState::Watchdog]),
            MonitorEvent::Alive => {}
            MonitorEvent::Stopping { .. } => {
                notify(&[NotifyState::Stopping, NotifyState::Status(&event.to_string())]);
            }
            event => notify(&[NotifyState::Status(&event.to_string())]),
        }
    }
}

/// Sends states. Ignores errors: the monitor keeps running without a service manager.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
