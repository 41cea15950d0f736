//! Notifies the service manager about the monitor or the server. Does nothing without a service manager.

use std::time::Duration;

use homing::MonitorEvent;
use homing_supervisor::platform::service_state::{ServiceState, notify, watchdog};

/// The connection to the service manager.
#[derive(Debug)]
pub(crate) struct Supervision {
    watchdog: Option<Duration>,
}

impl Supervision {
    /// Reads the settings of the service manager from the environment.
    pub(crate) fn from_environment() -> Supervision {
        Supervision { watchdog: watchdog() }
    }

    /// The interval of watchdog notifications; `None` without a watchdog.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.watchdog.map(|watchdog| watchdog / 2).filter(|every| !every.is_zero())
    }

    /// Notifies the service manager that the service is ready.
    #[cfg(feature = "serve")]
    pub(crate) fn ready(&self, state: &str) {
        notify(ServiceState::Ready(state));
    }

    /// Sends the notifications of the watchdog, for ever. Without a watchdog it never wakes up.
    #[cfg(feature = "serve")]
    pub(crate) async fn keep_alive(&self) {
        let Some(every) = self.heartbeat() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(every).await;
            notify(ServiceState::Alive);
        }
    }

    /// Notifies the service manager of an event.
    pub(crate) fn notify_event(&self, event: &MonitorEvent) {
        match event {
            // A standby monitor is ready too.
            MonitorEvent::Active | MonitorEvent::Standby { .. } => {
                notify(ServiceState::Ready(&event.to_string()));
            }
            MonitorEvent::Alive if self.watchdog.is_some() => notify(ServiceState::Alive),
            MonitorEvent::Alive => {}
            MonitorEvent::Stopping { .. } => notify(ServiceState::Stopping(&event.to_string())),
            event => notify(ServiceState::Working(&event.to_string())),
        }
    }
}
