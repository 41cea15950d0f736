//! Follow-ups: whether a session must still be notified of a finished job. States, events and transitions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FollowUpPolicy, KilledBy, Outcome, Timestamp};

/// The state of a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUpState {
    /// The job has not ended yet.
    Waiting,
    /// The job has ended; its session must be notified.
    Pending,
    /// A sink accepted the message. It is not confirmed yet that the agent read it.
    HandedOff,
    /// The agent was notified.
    Acknowledged,
    /// No notification: the session killed the job itself or asked for no follow-up, or a caller dropped the
    /// follow-up.
    Suppressed,
    /// Delivery was given up: all attempts failed, or the session is gone. It is kept and shown, and can be retried.
    Dead,
}

/// An event of a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowUpEvent {
    /// The job ended and its session must be notified.
    Due,
    /// The job ended and its session need not be notified.
    NotDue,
    /// A sink accepted the message without proof that the agent read it.
    HandedOff,
    /// The agent was notified: a sink proved it, a caller acknowledged it, or the session read the result itself.
    Acknowledged,
    /// The attempt failed, or was not confirmed in time. Delivery is retried.
    AttemptFailed,
    /// No further attempts are made.
    GivenUp,
    /// A caller asked for another delivery.
    Retried,
    /// A caller asked for no delivery.
    Dropped,
}

/// An event that is invalid in the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a follow-up that is {state} cannot be {event}")]
#[non_exhaustive]
pub struct TransitionError {
    /// The state, which does not change.
    pub state: FollowUpState,
    /// The event.
    pub event: FollowUpEvent,
}

impl FollowUpState {
    /// Every state, in the order of the life cycle.
    pub const ALL: [FollowUpState; 6] = [
        FollowUpState::Waiting,
        FollowUpState::Pending,
        FollowUpState::HandedOff,
        FollowUpState::Acknowledged,
        FollowUpState::Suppressed,
        FollowUpState::Dead,
    ];

    /// Returns the state after `event`. Repeating an event changes nothing and is not an error, so every step may run
    /// twice.
    ///
    /// # Errors
    /// If the event is invalid in this state, such as acknowledging a job that is still running.
    pub fn after(self, event: FollowUpEvent) -> Result<FollowUpState, TransitionError> {
        use FollowUpEvent as Event;
        use FollowUpState as State;
        let refused = Err(TransitionError { state: self, event });
        match (self, event) {
            (State::Waiting, Event::Due) => Ok(State::Pending),
            (State::Waiting, Event::NotDue | Event::Dropped) => Ok(State::Suppressed),
            (
                State::Waiting,
                Event::HandedOff
                | Event::Acknowledged
                | Event::AttemptFailed
                | Event::GivenUp
                | Event::Retried,
            ) => refused,

            // The end of a job may be ingested more than once; only the first time counts.
            (
                State::Pending | State::HandedOff | State::Acknowledged | State::Suppressed | State::Dead,
                Event::Due | Event::NotDue,
            ) => Ok(self),

            (State::Pending, Event::HandedOff) => Ok(State::HandedOff),
            (State::Pending, Event::AttemptFailed | Event::Retried) => Ok(State::Pending),
            (State::HandedOff, Event::HandedOff) => Ok(State::HandedOff),
            (State::HandedOff, Event::AttemptFailed | Event::Retried) => Ok(State::Pending),
            (State::Pending | State::HandedOff, Event::Acknowledged) => Ok(State::Acknowledged),
            (State::Pending | State::HandedOff, Event::GivenUp) => Ok(State::Dead),
            (State::Pending | State::HandedOff, Event::Dropped) => Ok(State::Suppressed),

            // A late answer of a sink does not reopen a closed follow-up.
            (
                State::Acknowledged | State::Suppressed,
                Event::HandedOff | Event::AttemptFailed | Event::GivenUp,
            ) => Ok(self),
            (State::Acknowledged, Event::Acknowledged | Event::Dropped) => Ok(State::Acknowledged),
            (State::Suppressed, Event::Acknowledged | Event::Dropped) => Ok(State::Suppressed),

            (State::Dead, Event::HandedOff | Event::AttemptFailed | Event::GivenUp) => Ok(State::Dead),
            (State::Dead, Event::Acknowledged) => Ok(State::Acknowledged),
            (State::Dead, Event::Dropped) => Ok(State::Suppressed),

            (State::Acknowledged | State::Suppressed | State::Dead, Event::Retried) => Ok(State::Pending),
        }
    }

    /// Whether delivery is outstanding, or was given up. Jobs with an open follow-up are never
    /// pruned.
    pub fn is_open(self) -> bool {
        match self {
            FollowUpState::Waiting
            | FollowUpState::Pending
            | FollowUpState::HandedOff
            | FollowUpState::Dead => true,
            FollowUpState::Acknowledged | FollowUpState::Suppressed => false,
        }
    }

    /// Returns the name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            FollowUpState::Waiting => "waiting",
            FollowUpState::Pending => "pending",
            FollowUpState::HandedOff => "handed_off",
            FollowUpState::Acknowledged => "acknowledged",
            FollowUpState::Suppressed => "suppressed",
            FollowUpState::Dead => "dead",
        }
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<FollowUpState> {
        FollowUpState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl FollowUpEvent {
    /// Every event.
    pub const ALL: [FollowUpEvent; 8] = [
        FollowUpEvent::Due,
        FollowUpEvent::NotDue,
        FollowUpEvent::HandedOff,
        FollowUpEvent::Acknowledged,
        FollowUpEvent::AttemptFailed,
        FollowUpEvent::GivenUp,
        FollowUpEvent::Retried,
        FollowUpEvent::Dropped,
    ];

    /// Returns the event for the end of a job: [`Due`](FollowUpEvent::Due) if its policy and outcome require a
    /// follow-up.
    pub fn for_finished_job(policy: FollowUpPolicy, outcome: &Outcome) -> FollowUpEvent {
        let ended_by_its_own_session = matches!(outcome, Outcome::Killed { by: KilledBy::Session });
        let wanted = match policy {
            FollowUpPolicy::Always => true,
            FollowUpPolicy::Failure => !outcome.succeeded(),
            FollowUpPolicy::Never => false,
        };
        if wanted && !ended_by_its_own_session { FollowUpEvent::Due } else { FollowUpEvent::NotDue }
    }
}

impl fmt::Display for FollowUpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for FollowUpEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FollowUpEvent::Due | FollowUpEvent::NotDue => "ended again",
            FollowUpEvent::HandedOff => "handed off",
            FollowUpEvent::Acknowledged => "acknowledged",
            FollowUpEvent::AttemptFailed => "tried again",
            FollowUpEvent::GivenUp => "given up",
            FollowUpEvent::Retried => "retried",
            FollowUpEvent::Dropped => "dropped",
        })
    }
}

/// The follow-up of a job, as front ends show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Its state.
    pub state: FollowUpState,
    /// Number of delivery attempts.
    pub attempts: u32,
    /// Time of the next attempt, if it is in the future.
    pub next_attempt_at: Option<Timestamp>,
    /// Error of the last failed attempt.
    pub last_error: Option<String>,
}

impl FollowUp {
    /// The follow-up of a job that has not ended.
    pub fn waiting() -> FollowUp {
        FollowUp { state: FollowUpState::Waiting, attempts: 0, next_attempt_at: None, last_error: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = FollowUpEvent> {
        prop::sample::select(FollowUpEvent::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn follow_up_stays_waiting_until_the_job_ended(events in prop::collection::vec(any_event(), 0..20)) {
            let mut state = FollowUpState::Waiting;
            let mut ended = false;
            for event in events {
                ended |= matches!(event, FollowUpEvent::Due | FollowUpEvent::NotDue | FollowUpEvent::Dropped);
                state = state.after(event).unwrap_or(state);
                prop_assert_eq!(ended, state != FollowUpState::Waiting);
            }
        }

        #[test]
        fn only_an_acknowledgement_acknowledges(
            before in prop::sample::select(FollowUpState::ALL.to_vec()), event in any_event()
        ) {
            let after = before.after(event).unwrap_or(before);
            let acknowledged_now = after == FollowUpState::Acknowledged && before != FollowUpState::Acknowledged;
            prop_assert!(!acknowledged_now || event == FollowUpEvent::Acknowledged);
        }

        #[test]
        fn repeated_event_changes_nothing(
            before in prop::sample::select(FollowUpState::ALL.to_vec()), event in any_event()
        ) {
            if let Ok(once) = before.after(event) {
                prop_assert_eq!(once.after(event), Ok(once));
            }
        }

        #[test]
        fn closed_follow_up_is_reopened_only_by_a_retry(
            before in prop::sample::select(vec![FollowUpState::Acknowledged, FollowUpState::Suppressed]),
            event in any_event()
        ) {
            let reopened = before.after(event).is_ok_and(FollowUpState::is_open);
            prop_assert_eq!(reopened, event == FollowUpEvent::Retried);
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in FollowUpState::ALL {
            assert_eq!(FollowUpState::from_name(state.as_str()), Some(state));
        }
    }

    #[test]
    fn policy_and_outcome_decide_whether_a_follow_up_is_due() {
        let ok = Outcome::Exited { exit_code: 0 };
        let failed = Outcome::Exited { exit_code: 1 };
        let own_kill = Outcome::Killed { by: KilledBy::Session };
        let due = |policy, outcome: &Outcome| {
            FollowUpEvent::for_finished_job(policy, outcome) == FollowUpEvent::Due
        };
        let table = [FollowUpPolicy::Always, FollowUpPolicy::Failure, FollowUpPolicy::Never]
            .map(|policy| [due(policy, &ok), due(policy, &failed), due(policy, &own_kill)]);
        assert_eq!(table, [[true, true, false], [false, true, false], [false, false, false]]);
    }
}
