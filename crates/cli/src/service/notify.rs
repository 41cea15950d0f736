//! What the service manager hears of a monitor: sd_notify(3). Where none listens, nothing is said.

use std::time::Duration;

use homing::MonitorEvent;
use sd_notify::NotifyState;

/// How we are watched over.
#[derive(Debug)]
pub(crate) struct Supervision {
    watchdog: Option<Duration>,
}

impl Supervision {
    /// As the service manager says in our environment.
    pub(crate) fn from_environment() -> Supervision {
        Supervision { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often it wants to hear that we are well; never without a watchdog.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2).filter(|every| !every.is_zero())
    }

    /// Passes an event on.
    pub(crate) fn tell(&self, event: &MonitorEvent) {
        match event {
            // To wait for another monitor's end is to work as intended.
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

/// A service manager that is gone is no reason to stop.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
