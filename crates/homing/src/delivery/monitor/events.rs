//! Events that a monitor reports to its observer, for logs and service managers. The monitor works without an
//! observer.

use std::fmt;
use std::time::Duration;

use homing_core::text::flatten;
use homing_core::{Delivery, SessionId, Timestamp, WakeId, format_duration};

/// An event that a monitor reports.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MonitorEvent {
    /// Another monitor is active in this home. This one stands by.
    Standby {
        /// The process id of the active monitor, or 0 if it is unknown.
        pid: u32,
    },
    /// The monitor became active and has found everything that is due.
    Active,
    /// Sent at the interval of [`heartbeat`](crate::MonitorOptions::heartbeat) while the monitor works.
    Alive,
    /// The monitor reloaded a changed configuration.
    Configured,
    /// The monitor starts an attempt.
    Sending {
        /// The wake.
        wake: WakeId,
        /// The session it is for.
        session: SessionId,
        /// The sink's name.
        sink: String,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The number of jobs in the wake.
        jobs: usize,
    },
    /// A sink answered.
    Answered {
        /// The wake.
        wake: WakeId,
        /// The session it was for.
        session: SessionId,
        /// The answer of the sink.
        delivery: Delivery,
        /// The duration of the attempt.
        took: Duration,
    },
    /// A person was told that wakes are dead (`monitor.alert`).
    Alerted {
        /// The sink's name.
        sink: String,
        /// The number of dead wakes.
        wakes: usize,
        /// The answer of the sink. A failed alert is not repeated.
        delivery: Delivery,
    },
    /// Delivery of finished jobs to a session is held.
    Held {
        /// The session.
        session: SessionId,
        /// When the hold ends, if known.
        until: Option<Timestamp>,
        /// The reason, for people.
        reason: String,
    },
    /// An error that does not end the monitor.
    Warning {
        /// The error, for people.
        message: String,
    },
    /// The monitor starts no more attempts and waits for those in flight.
    Stopping {
        /// The number of attempts in flight.
        in_flight: usize,
    },
}

/// One line for a log, without the time.
impl fmt::Display for MonitorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MonitorEvent::Standby { pid: 0 } => {
                f.write_str("another monitor is active; waiting to take over")
            }
            MonitorEvent::Standby { pid } => {
                write!(f, "another monitor is active (pid {pid}); waiting to take over")
            }
            MonitorEvent::Active => f.write_str("watching"),
            MonitorEvent::Alive => f.write_str("alive"),
            MonitorEvent::Configured => f.write_str("configuration reloaded"),
            MonitorEvent::Sending { wake, session, sink, attempt, jobs } => {
                let jobs = if *jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") };
                write!(f, "waking {session} through {}: {jobs} ({wake}, attempt {attempt})", flatten(sink))
            }
            MonitorEvent::Answered { wake, session, delivery, took } => {
                let what = match delivery {
                    Delivery::Delivered => "was notified",
                    Delivery::HandedOff => "received a wake that it must acknowledge",
                    Delivery::Busy { .. } => "is busy",
                    Delivery::Gone { .. } => "is gone",
                    Delivery::Failed { .. } => "was not notified",
                };
                write!(f, "{session} {what}")?;
                if let Some(reason) = delivery.reason() {
                    write!(f, ": {}", flatten(reason))?;
                }
                write!(f, " ({wake}, {})", format_duration(*took))
            }
            MonitorEvent::Alerted { sink, wakes, delivery } => {
                let wakes =
                    if *wakes == 1 { "1 dead wake".to_owned() } else { format!("{wakes} dead wakes") };
                let what = match delivery {
                    Delivery::Delivered | Delivery::HandedOff => "told a person about",
                    Delivery::Busy { .. } | Delivery::Gone { .. } | Delivery::Failed { .. } => {
                        "could not tell a person about"
                    }
                };
                write!(f, "{what} {wakes} through {}", flatten(sink))?;
                delivery.reason().map_or(Ok(()), |reason| write!(f, ": {}", flatten(reason)))
            }
            MonitorEvent::Held { session, until, reason } => {
                write!(f, "{session}: delivery held: {}", flatten(reason))?;
                until.map_or(Ok(()), |until| write!(f, " until {until}"))
            }
            MonitorEvent::Warning { message } => write!(f, "warning: {}", flatten(message)),
            MonitorEvent::Stopping { in_flight: 0 } => f.write_str("stopping"),
            MonitorEvent::Stopping { in_flight } => write!(f, "stopping; deliveries in flight: {in_flight}"),
        }
    }
}
