//! What a monitor tells whoever runs it: for logs, and for service managers. Nothing depends on anybody listening.

use std::fmt;
use std::time::Duration;

use homing_core::text::flatten;
use homing_core::{Delivery, SessionId, Timestamp, WakeId, format_duration};

/// Something that a monitor did or saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MonitorEvent {
    /// Another monitor is active in this home; this one waits to take over.
    Standby {
        /// The other one's process id; 0 where it is not known.
        pid: u32,
    },
    /// It is active now: everything that is due has been found.
    Active,
    /// It is well; comes as often as [`heartbeat`](crate::MonitorOptions::heartbeat) says.
    Alive,
    /// The configuration was changed, and is in force.
    Configured,
    /// A wake is given to a sink.
    Sending {
        /// Which.
        wake: WakeId,
        /// Whom it is for.
        session: SessionId,
        /// The sink's name.
        sink: String,
        /// Which attempt it is.
        attempt: u32,
        /// How many jobs it tells of.
        jobs: usize,
    },
    /// A sink has answered.
    Answered {
        /// Which wake.
        wake: WakeId,
        /// Whom it was for.
        session: SessionId,
        /// What the sink said.
        delivery: Delivery,
        /// How long it took.
        took: Duration,
    },
    /// Jobs of a session are not told yet.
    Held {
        /// Whose.
        session: SessionId,
        /// Until when, where that is known.
        until: Option<Timestamp>,
        /// Why.
        reason: String,
    },
    /// Something went wrong that the monitor goes on in spite of.
    Warning {
        /// What, for people.
        message: String,
    },
    /// It takes up no more wakes, and waits for the sinks that are at work.
    Stopping {
        /// How many.
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
            MonitorEvent::Configured => f.write_str("the configuration was changed, and is in force"),
            MonitorEvent::Sending { wake, session, sink, attempt, jobs } => {
                let jobs = if *jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") };
                write!(f, "waking {session} through {}: {jobs} ({wake}, attempt {attempt})", flatten(sink))
            }
            MonitorEvent::Answered { wake, session, delivery, took } => {
                let what = match delivery {
                    Delivery::Delivered => "was told",
                    Delivery::HandedOff => "was handed a wake that it has to acknowledge",
                    Delivery::Busy { .. } => "is busy",
                    Delivery::Gone { .. } => "is gone",
                    Delivery::Failed { .. } => "could not be told",
                };
                write!(f, "{session} {what}")?;
                if let Some(reason) = delivery.reason() {
                    write!(f, ": {}", flatten(reason))?;
                }
                write!(f, " ({wake}, {})", format_duration(*took))
            }
            MonitorEvent::Held { session, until, reason } => {
                write!(f, "{session} is not told yet: {}", flatten(reason))?;
                until.map_or(Ok(()), |until| write!(f, " until {until}"))
            }
            MonitorEvent::Warning { message } => write!(f, "warning: {}", flatten(message)),
            MonitorEvent::Stopping { in_flight: 0 } => f.write_str("stopping"),
            MonitorEvent::Stopping { in_flight } => write!(f, "stopping; sinks still at work: {in_flight}"),
        }
    }
}
