//! What a sink may answer.

use std::time::Duration;

/// What came of one attempt to deliver a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The agent took it, and the sink can prove that.
    Delivered,
    /// It was accepted, without proof that the agent read it. It is sent again unless somebody acknowledges in time.
    HandedOff,
    /// The session cannot take it now. Does not use up an attempt.
    Busy {
        /// When to try again, where the sink knows.
        retry_after: Option<Duration>,
        /// What keeps it, for people.
        reason: String,
    },
    /// The session exists no more: no further attempt makes sense.
    Gone {
        /// How that is known, for people.
        reason: String,
    },
    /// The attempt failed; it is worth trying again.
    Failed {
        /// Why, for people.
        error: String,
    },
}

impl Delivery {
    /// The name in the ledger and for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Delivery::Delivered => "delivered",
            Delivery::HandedOff => "handed_off",
            Delivery::Busy { .. } => "busy",
            Delivery::Gone { .. } => "gone",
            Delivery::Failed { .. } => "failed",
        }
    }

    /// What it says for people, where it says something.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Delivery::Delivered | Delivery::HandedOff => None,
            Delivery::Busy { reason, .. } | Delivery::Gone { reason } => Some(reason),
            Delivery::Failed { error } => Some(error),
        }
    }
}
