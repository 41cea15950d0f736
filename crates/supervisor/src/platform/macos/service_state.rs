//! Tells the service manager about this service. launchd is not told.

use std::time::Duration;

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

/// Returns the time within which the service manager expects [`ServiceState::Alive`]; `None`: launchd has no watchdog.
pub fn watchdog() -> Option<Duration> {
    None
}

/// Sends a state. Does nothing.
pub fn notify(_state: ServiceState<'_>) {}
