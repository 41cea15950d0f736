//! How far a wake is: a table of states and events with an answer to every pair.

use std::time::Duration;

use super::{Delivery, RetryPolicy};
use crate::{FollowUpEvent, Timestamp, format_duration};

/// Where a wake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WakeState {
    /// To be sent, now or later.
    Scheduled,
    /// A sink has it and has not answered.
    InFlight,
    /// A sink took it; nobody has confirmed that the agent read it.
    HandedOff,
    /// The agent took it.
    Delivered,
    /// Given up.
    Dead,
    /// Nobody has to be told any more: its jobs were acknowledged or dropped by other ways.
    Superseded,
}

/// What can happen to a wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeEvent {
    /// It is given to a sink.
    Started,
    /// The sink answered. `acknowledge_within` is how long a hand-over may stay unconfirmed.
    Answered {
        /// What it answered.
        delivery: Delivery,
        /// For [`Delivery::HandedOff`].
        acknowledge_within: Duration,
    },
    /// Somebody who has the session open takes it out of the queue, to show it there. It is handed off until the agent
    /// is known to have it, for so long at most.
    Claimed {
        /// How long it may stay unconfirmed.
        acknowledge_within: Duration,
    },
    /// It was handed off, and the agent is known to have it.
    Confirmed,
    /// The monitor that had given it to a sink is gone, and with it the answer.
    AnswerLost,
    /// It was handed off, and the time to acknowledge it is over.
    NotAcknowledged,
    /// All its jobs were acknowledged or dropped by other ways.
    Superseded,
    /// Somebody asked for it to be tried now, from the beginning; or the session says that it is free.
    RetriedNow {
        /// Whether earlier attempts are forgotten.
        from_the_start: bool,
    },
}

/// How far a wake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeProgress {
    /// Where it stands.
    pub state: WakeState,
    /// Attempts that count.
    pub attempts: u32,
    /// Busy answers since the last attempt that counted.
    pub busy_answers: u32,
    /// When it is tried next, or has to be acknowledged by.
    pub next_at: Option<Timestamp>,
    /// When `next_at` was written. The wall clock being before that means that it was set back.
    pub since: Timestamp,
    /// Why the last attempt came to nothing.
    pub last_error: Option<String>,
}

/// Longest error that is kept, in characters.
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

    /// Whether something has still to happen.
    pub fn is_open(self) -> bool {
        match self {
            WakeState::Scheduled | WakeState::InFlight | WakeState::HandedOff => true,
            WakeState::Delivered | WakeState::Dead | WakeState::Superseded => false,
        }
    }

    /// The name in the ledger and for programs.
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

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<WakeState> {
        WakeState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl WakeProgress {
    /// A wake that was just made.
    pub fn new(now: Timestamp) -> WakeProgress {
        WakeProgress {
            state: WakeState::Scheduled,
            attempts: 0,
            busy_answers: 0,
            next_at: None,
            since: now,
            last_error: None,
        }
    }

    /// Whether its time has come. A clock that was set back does not make it wait.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next_at.is_none_or(|next| next <= now) || now < self.since
    }

    /// How far it is after `event`, and what that means for the follow-ups it carries. What makes no sense in a state,
    /// such as a second answer, changes nothing. `jitter` lies between 0 and 1.
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
            (State::InFlight, Event::Answered { delivery, acknowledge_within }) => {
                self.answered(delivery, *acknowledge_within, &Circumstances { policy, now, jitter })
            }
            // One step, so that nobody else can give it to a sink in between.
            (State::Scheduled, Event::Claimed { acknowledge_within }) => self.answered(
                &Delivery::HandedOff,
                *acknowledge_within,
                &Circumstances { policy, now, jitter },
            ),
            // Counted, so that a wake which takes its monitor down is given up at last; but tried again at once.
            (State::InFlight, Event::AnswerLost) => {
                let error = "the monitor ended before the sink had answered".to_owned();
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
            // Its end is already known: by an answer, or because nobody has to be told any more.
            (State::Delivered | State::Dead | State::Superseded, _) => unchanged,
            (
                State::Scheduled,
                Event::Answered { .. } | Event::Confirmed | Event::AnswerLost | Event::NotAcknowledged,
            )
            | (
                State::InFlight,
                Event::Started
                | Event::Claimed { .. }
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
                | Event::AnswerLost
                | Event::RetriedNow { from_the_start: false },
            ) => unchanged,
        }
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

/// When what failed is tried again, if it is.
#[derive(Clone, Copy)]
enum Again {
    AtOnce,
    AfterADelay,
}

/// An error of bounded length; a sink's words may be anything.
fn bounded(error: String) -> String {
    match error.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error,
    }
}

#[cfg(test)]
mod tests;
