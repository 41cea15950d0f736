//! Tells the service manager about this service. The Task Scheduler takes no such messages, so this does nothing.

use std::time::Duration;

/// A state of this service. The texts are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState<'a> {
    /// It has started.
    Ready(&'a str),
    /// It does what the text says.
    Working(&'a str),
    /// It is alive.
    Alive,
    /// It stops.
    Stopping(&'a str),
}

/// Returns the time within which the service manager expects [`ServiceState::Alive`]; always `None`.
pub fn watchdog() -> Option<Duration> {
    None
}

/// Does nothing.
pub fn notify(_state: ServiceState<'_>) {}
