//! The state of a wake: a total transition table of states and events.

use std::time::Duration;

use super::{Delivery, Lease, LeaseId, RetryPolicy};
use crate::{FollowUpEvent, Timestamp, format_duration};

/// The state of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WakeState {
    /// It waits to be sent, now or later.
    Scheduled,
    /// A sink has it, or a host has leased it. Neither has answered yet.
    InFlight,
    /// A sink accepted it. It is not confirmed that the agent read it.
    HandedOff,
    /// The agent received it.
    Delivered,
    /// Delivery was given up.
    Dead,
    /// Delivery is not needed any more: its jobs were acknowledged or dropped outside this wake.
    Superseded,
}

/// An event of a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeEvent {
    /// It is sent to a sink.
    Started,
    /// The sink answered.
    Answered {
        /// The answer.
        delivery: Delivery,
        /// For [`Delivery::HandedOff`]: how long it may stay unconfirmed.
        acknowledge_within: Duration,
    },
    /// A process that has the session open claims it from the queue, to show it there. It is handed off until receipt
    /// by the agent is confirmed.
    Claimed {
        /// How long it may stay unconfirmed.
        acknowledge_within: Duration,
    },
    /// A process claims it from the queue and prints it, for an agent that started this process. It is handed off until
    /// the agent acknowledges it.
    Printed {
        /// How long it may stay unacknowledged.
        acknowledge_within: Duration,
    },
    /// A host leases it from the queue, to deliver it itself.
    Leased(Lease),
    /// The host that leased it answered in time.
    LeaseAnswered {
        /// The lease.
        lease: LeaseId,
        /// The answer.
        delivery: Delivery,
        /// For [`Delivery::HandedOff`]: how long it may stay unconfirmed.
        acknowledge_within: Duration,
    },
    /// The host that leased it did not answer in time.
    LeaseExpired(LeaseId),
    /// It was handed off, and receipt by the agent is confirmed.
    Confirmed,
    /// The monitor that sent it to a sink ended before it recorded an answer.
    AnswerLost,
    /// It was handed off, and was not acknowledged in time.
    NotAcknowledged,
    /// All its jobs were acknowledged or dropped outside this wake.
    Superseded,
    /// A caller asked for an attempt now, or the session reports that it is idle.
    RetriedNow {
        /// Whether to reset the number of attempts.
        from_the_start: bool,
    },
}

/// The progress of a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeProgress {
    /// Its state.
    pub state: WakeState,
    /// Number of attempts that count.
    pub attempts: u32,
    /// Number of busy answers since the last attempt that counted.
    pub busy_answers: u32,
    /// Time of the next attempt, or the deadline for its acknowledgement.
    pub next_at: Option<Timestamp>,
    /// When `next_at` or the lease was written. If the wall clock is earlier than this, it was set back.
    pub since: Timestamp,
    /// The lease of the host that has it. Only a wake in flight has one; without one, a sink has the wake.
    pub lease: Option<Lease>,
    /// Error of the last attempt.
    pub last_error: Option<String>,
}

/// Maximum length of a stored error, in characters.
const MAX_ERROR_CHARS: usize = 500;

impl WakeState {
    /// Every state.
    pub const ALL: [WakeState; 6] = [
        WakeState::Scheduled,
        WakeState::InFlight,
        WakeState::HandedOff,
        WakeState::Delivered,
        WakeState::Dead,
        WakeState::Superseded,
    ];

    /// Whether the state is not final.
    pub fn is_open(self) -> bool {
        match self {
            WakeState::Scheduled | WakeState::InFlight | WakeState::HandedOff => true,
            WakeState::Delivered | WakeState::Dead | WakeState::Superseded => false,
        }
    }

    /// Returns the name in the ledger and for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            WakeState::Scheduled => "scheduled",
            WakeState::InFlight => "in_flight",
            WakeState::HandedOff => "handed_off",
            WakeState::Delivered => "delivered",
            WakeState::Dead => "dead",
            WakeState::Superseded => "superseded",
        }
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<WakeState> {
        WakeState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl WakeProgress {
    /// Returns the progress of a new wake.
    pub fn new(now: Timestamp) -> WakeProgress {
        WakeProgress {
            state: WakeState::Scheduled,
            attempts: 0,
            busy_answers: 0,
            next_at: None,
            since: now,
            lease: None,
            last_error: None,
        }
    }

    /// The lease that has expired. A clock that was set back does not prolong it.
    pub fn expired_lease(&self, now: Timestamp) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.expires_at <= now || now < self.since)
    }

    /// Whether `next_at` has passed. A clock that was set back does not delay it.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_at.is_none_or(|next| next <= now) || now < self.since
    }

    /// Returns the progress after `event`, and the resulting event for its follow-ups. An event that is invalid in
    /// the current state, such as a second answer, changes nothing. `jitter` is between 0 and 1.
    pub fn after(
        &self,
        event: &WakeEvent,
        policy: &RetryPolicy,
        now: Timestamp,
        jitter: f64,
    ) -> (WakeProgress, Option<FollowUpEvent>) {
        use WakeEvent as Event;
        use WakeState as State;
        let unchanged = (self.clone(), None);
        match (self.state, event) {
            (State::Scheduled, Event::Started) => {
                let next = WakeProgress { state: State::InFlight, next_at: None, since: now, ..self.clone() };
                (next, None)
            }
            // A monitor that takes a host's wake for one of its own changes nothing.
            (State::InFlight, Event::Answered { .. } | Event::AnswerLost) if self.lease.is_some() => {
                unchanged
            }
            (State::InFlight, Event::LeaseAnswered { lease, .. } | Event::LeaseExpired(lease))
                if !self.is_leased_as(*lease) =>
            {
                unchanged
            }
            (
                State::InFlight,
                Event::Answered { delivery, acknowledge_within }
                | Event::LeaseAnswered { delivery, acknowledge_within, lease: _ },
            ) => self.answered(delivery, *acknowledge_within, &Circumstances { policy, now, jitter }),
            (State::Scheduled, Event::Leased(lease)) => {
                let lease = Some(lease.clone());
                let next =
                    WakeProgress { state: State::InFlight, next_at: None, since: now, lease, ..self.clone() };
                (next, None)
            }
            (State::InFlight, Event::LeaseExpired(_)) => {
                let circumstances = Circumstances { policy, now, jitter };
                self.failed(self.attempts + 1, self.expiry_error(), Again::AfterADelay, &circumstances)
            }
            // One step, so that it cannot be sent to a sink in between.
            (
                State::Scheduled,
                Event::Claimed { acknowledge_within } | Event::Printed { acknowledge_within },
            ) => self.answered(
                &Delivery::HandedOff,
                *acknowledge_within,
                &Circumstances { policy, now, jitter },
            ),
            // It counts as an attempt, so that a wake that crashes the monitor is given up at some point. Retry at
            // once.
            (State::InFlight, Event::AnswerLost) => {
                let error = "the monitor ended before the sink answered".to_owned();
                self.failed(self.attempts + 1, error, Again::AtOnce, &Circumstances { policy, now, jitter })
            }
            (State::HandedOff, Event::Confirmed) => {
                let next =
                    WakeProgress { state: State::Delivered, next_at: None, since: now, ..self.clone() };
                (next, Some(FollowUpEvent::Acknowledged))
            }
            (State::HandedOff, Event::NotAcknowledged) => {
                let waited = format_duration(now.saturating_since(self.since));
                let error = format!("handed off, but not acknowledged within {waited}");
                self.failed(self.attempts, error, Again::AtOnce, &Circumstances { policy, now, jitter })
            }
            (State::Scheduled | State::HandedOff, Event::Superseded) => {
                (WakeProgress { state: State::Superseded, next_at: None, since: now, ..self.clone() }, None)
            }
            (State::Scheduled, Event::RetriedNow { from_the_start: false }) => {
                (WakeProgress { next_at: None, since: now, ..self.clone() }, None)
            }
            (State::Scheduled | State::HandedOff, Event::RetriedNow { from_the_start: true }) => {
                (WakeProgress::new(now), None)
            }
            // The state is final: a sink answered, or delivery is not needed any more.
            (State::Delivered | State::Dead | State::Superseded, _) => unchanged,
            (
                State::Scheduled,
                Event::Answered { .. }
                | Event::LeaseAnswered { .. }
                | Event::LeaseExpired(_)
                | Event::Confirmed
                | Event::AnswerLost
                | Event::NotAcknowledged,
            )
            | (
                State::InFlight,
                Event::Started
                | Event::Claimed { .. }
                | Event::Printed { .. }
                | Event::Leased(_)
                | Event::Confirmed
                | Event::NotAcknowledged
                | Event::Superseded
                | Event::RetriedNow { .. },
            )
            | (
                State::HandedOff,
                Event::Started
                | Event::Answered { .. }
                | Event::Claimed { .. }
                | Event::Printed { .. }
                | Event::Leased(_)
                | Event::LeaseAnswered { .. }
                | Event::LeaseExpired(_)
                | Event::AnswerLost
                | Event::RetriedNow { from_the_start: false },
            ) => unchanged,
        }
    }

    fn is_leased_as(&self, id: LeaseId) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.id == id)
    }

    fn expiry_error(&self) -> String {
        let (holder, waited) = match &self.lease {
            Some(lease) => (lease.holder.as_str(), lease.expires_at.saturating_since(self.since)),
            None => ("the host", Duration::ZERO),
        };
        format!("the lease of {holder} expired: no answer within {}", format_duration(waited))
    }

    fn answered(
        &self,
        delivery: &Delivery,
        acknowledge_within: Duration,
        circumstances: &Circumstances<'_>,
    ) -> (WakeProgress, Option<FollowUpEvent>) {
        let Circumstances { policy, now, jitter } = *circumstances;
        let attempts = self.attempts + 1;
        let closed = |state, last_error| WakeProgress {
            state,
            attempts,
            busy_answers: 0,
            next_at: None,
            since: now,
            lease: None,
            last_error,
        };
        match delivery {
            Delivery::Delivered => (closed(WakeState::Delivered, None), Some(FollowUpEvent::Acknowledged)),
            Delivery::HandedOff => {
                let next_at = Some(now.saturating_add(acknowledge_within));
                let handed_off = WakeProgress { next_at, ..closed(WakeState::HandedOff, None) };
                (handed_off, Some(FollowUpEvent::HandedOff))
            }
            Delivery::Busy { retry_after, reason } => {
                let busy_answers = self.busy_answers + 1;
                let delay = policy.busy_delay(busy_answers, *retry_after, jitter);
                let next = WakeProgress {
                    state: WakeState::Scheduled,
                    attempts: self.attempts,
                    busy_answers,
                    next_at: Some(now.saturating_add(delay)),
                    since: now,
                    lease: None,
                    last_error: Some(bounded(format!("busy: {reason}"))),
                };
                (next, None)
            }
            Delivery::Gone { reason } => (
                closed(WakeState::Dead, Some(bounded(format!("gone: {reason}")))),
                Some(FollowUpEvent::GivenUp),
            ),
            Delivery::Failed { error } => {
                self.failed(attempts, error.clone(), Again::AfterADelay, circumstances)
            }
        }
    }

    fn failed(
        &self,
        attempts: u32,
        error: String,
        again: Again,
        circumstances: &Circumstances<'_>,
    ) -> (WakeProgress, Option<FollowUpEvent>) {
        let Circumstances { policy, now, jitter } = *circumstances;
        let next = WakeProgress {
            state: WakeState::Scheduled,
            attempts,
            busy_answers: 0,
            next_at: None,
            since: now,
            lease: None,
            last_error: Some(bounded(error)),
        };
        match (policy.delay_after(attempts, jitter), again) {
            (Some(_), Again::AtOnce) => (next, Some(FollowUpEvent::AttemptFailed)),
            (Some(delay), Again::AfterADelay) => {
                let next_at = Some(now.saturating_add(delay));
                (WakeProgress { next_at, ..next }, Some(FollowUpEvent::AttemptFailed))
            }
            (None, Again::AtOnce | Again::AfterADelay) => {
                (WakeProgress { state: WakeState::Dead, ..next }, Some(FollowUpEvent::GivenUp))
            }
        }
    }
}

/// What a decision depends on besides the wake.
#[derive(Clone, Copy)]
struct Circumstances<'a> {
    policy: &'a RetryPolicy,
    now: Timestamp,
    jitter: f64,
}

/// When to retry a failed attempt.
#[derive(Clone, Copy)]
enum Again {
    AtOnce,
    AfterADelay,
}

/// Cuts an error to a bounded length. Text from a sink may have any size.
fn bounded(error: String) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error,
    }
}

#[cfg(test)]
mod tests;
