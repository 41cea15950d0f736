//! The duty to tell a session about one finished job: its states, and what moves it from one to the next.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FollowUpPolicy, KilledBy, Outcome, Timestamp};

/// Where the duty to tell a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUpState {
    /// The job has not ended yet.
    Waiting,
    /// The session is to be told.
    Pending,
    /// A sink took the message; nobody has confirmed yet that the agent read it.
    HandedOff,
    /// The agent was told.
    Acknowledged,
    /// Nobody is to be told: the session ended the job itself, or asked for no follow-up, or it was dropped.
    Suppressed,
    /// Given up: attempts exhausted, or the session is gone. Kept, shown, and can be retried.
    Dead,
}

/// What can happen to a follow-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUpEvent {
    /// The job ended and its session is to hear of it.
    Due,
    /// The job ended and its session need not hear of it.
    NotDue,
    /// A sink accepted the message without proof that the agent read it.
    HandedOff,
    /// The agent was told: a sink proved it, somebody said so, or the session read the result itself.
    Acknowledged,
    /// The attempt failed, or was not confirmed in time: it is to be tried again.
    AttemptFailed,
    /// No further attempt makes sense.
    GivenUp,
    /// Somebody asked for it to be told again.
    Retried,
    /// Somebody asked for it not to be told.
    Dropped,
}

/// An event that a state has no answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a follow-up that is {state} cannot be {event}")]
pub struct TransitionError {
    /// The state it was in, and stays in.
    pub state: FollowUpState,
    /// What was asked of it.
    pub event: FollowUpEvent,
}

impl FollowUpState {
    /// Every state, in the order of a follow-up's life.
    pub const ALL: [FollowUpState; 6] = [
        FollowUpState::Waiting,
        FollowUpState::Pending,
        FollowUpState::HandedOff,
        FollowUpState::Acknowledged,
        FollowUpState::Suppressed,
        FollowUpState::Dead,
    ];

    /// The state after `event`. Repeating what already happened changes nothing and is no error, so that every step
    /// may run twice.
    ///
    /// # Errors
    /// When the event makes no sense in this state, such as acknowledging a job that still runs.
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

            // The end of a job is ingested at least once; only the first time counts.
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

            // A late answer of a sink does not reopen what is closed.
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

    /// Whether somebody still has to be told, or has to look at it: such a job is never pruned.
    pub fn is_open(self) -> bool {
        match self {
            FollowUpState::Waiting
            | FollowUpState::Pending
            | FollowUpState::HandedOff
            | FollowUpState::Dead => true,
            FollowUpState::Acknowledged | FollowUpState::Suppressed => false,
        }
    }

    /// The name in JSON and on the command line.
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

    /// The state of that name.
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

    /// Whether the end of a job is due to its session, by what the job asked for and by how it ended.
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

/// A follow-up as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FollowUp {
    /// Where it stands.
    pub state: FollowUpState,
    /// How often delivery was tried.
    pub attempts: u32,
    /// When it is tried next, where that lies in the future.
    pub next_attempt_at: Option<Timestamp>,
    /// What the last failed attempt said.
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
        fn nothing_is_told_before_the_job_ended(events in prop::collection::vec(any_event(), 0..20)) {
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
        fn an_event_that_is_repeated_changes_nothing_more(
            before in prop::sample::select(FollowUpState::ALL.to_vec()), event in any_event()
        ) {
            if let Ok(once) = before.after(event) {
                prop_assert_eq!(once.after(event), Ok(once));
            }
        }

        #[test]
        fn what_is_closed_is_reopened_only_on_request(
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
    fn a_session_is_told_of_what_it_asked_for_and_did_not_do_itself() {
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
