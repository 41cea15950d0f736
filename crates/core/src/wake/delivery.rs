//! The answers of a sink.

use std::time::Duration;

/// The result of one attempt to deliver a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The agent received it, and the sink can prove that.
    Delivered,
    /// It was accepted, without proof that the agent read it. homing sends it again unless it is acknowledged in
    /// time.
    HandedOff,
    /// The session cannot receive it now. This does not count as an attempt.
    Busy {
        /// When to try again, if the sink knows.
        retry_after: Option<Duration>,
        /// The reason, for people.
        reason: String,
    },
    /// The session does not exist any more. No further attempts are made.
    Gone {
        /// How the sink knows, for people.
        reason: String,
    },
    /// The attempt failed. It is retried.
    Failed {
        /// The error, for people.
        error: String,
    },
}

impl Delivery {
    /// Returns the name in the ledger and for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Delivery::Delivered => "delivered",
            Delivery::HandedOff => "handed_off",
            Delivery::Busy { .. } => "busy",
            Delivery::Gone { .. } => "gone",
            Delivery::Failed { .. } => "failed",
        }
    }

    /// Returns the reason or error, if there is one.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Delivery::Delivered | Delivery::HandedOff => None,
            Delivery::Busy { reason, .. } | Delivery::Gone { reason } => Some(reason),
            Delivery::Failed { error } => Some(error),
        }
    }
}
