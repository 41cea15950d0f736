//! Tells the service manager about this service: sd_notify(3). Does nothing without a service manager.

use std::time::Duration;

use sd_notify::NotifyState;

/// A state of this service. The texts are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState<'a> {
    /// It has started.
    Ready(&'a str),
    /// It does what the text says.
    Working(&'a str),
    /// It is alive. Send this within the [watchdog's time](watchdog).
    Alive,
    /// It stops.
    Stopping(&'a str),
}

/// Returns the time within which the service manager expects [`ServiceState::Alive`]; `None` without a watchdog.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Sends a state. Ignores errors: the service keeps running without a service manager.
pub fn notify(state: ServiceState<'_>) {
    let _ = match state {
        ServiceState::Ready(text) => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(text)]),
        ServiceState::Working(text) => sd_notify::notify(&[NotifyState::Status(text)]),
        ServiceState::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        ServiceState::Stopping(text) => {
            sd_notify::notify(&[NotifyState::Stopping, NotifyState::Status(text)])
        }
    };
}
