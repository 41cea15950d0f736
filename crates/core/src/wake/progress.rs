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
    Settled,
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
    Taken {
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
    Settled,
    /// Somebody asked for it to be tried now, from the beginning; or the session says that it is free.
    Hastened {
        /// Whether earlier attempts are forgotten.
        from_the_beginning: bool,
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
        WakeState::Settled,
    ];

    /// Whether something has still to happen.
    pub fn is_open(self) -> bool {
        match self {
            WakeState::Scheduled | WakeState::InFlight | WakeState::HandedOff => true,
            WakeState::Delivered | WakeState::Dead | WakeState::Settled => false,
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
            WakeState::Settled => "settled",
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
            (State::Scheduled, Event::Taken { acknowledge_within }) => self.answered(
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
            (State::Scheduled | State::HandedOff, Event::Settled) => {
                (WakeProgress { state: State::Settled, next_at: None, since: now, ..self.clone() }, None)
            }
            (State::Scheduled, Event::Hastened { from_the_beginning: false }) => {
                (WakeProgress { next_at: None, since: now, ..self.clone() }, None)
            }
            (State::Scheduled | State::HandedOff, Event::Hastened { from_the_beginning: true }) => {
                (WakeProgress::new(now), None)
            }
            // Its end is already known: by an answer, or because nobody has to be told any more.
            (State::Delivered | State::Dead | State::Settled, _) => unchanged,
            (
                State::Scheduled,
                Event::Answered { .. } | Event::Confirmed | Event::AnswerLost | Event::NotAcknowledged,
            )
            | (
                State::InFlight,
                Event::Started
                | Event::Taken { .. }
                | Event::Confirmed
                | Event::NotAcknowledged
                | Event::Settled
                | Event::Hastened { .. },
            )
            | (
                State::HandedOff,
                Event::Started
                | Event::Answered { .. }
                | Event::Taken { .. }
                | Event::AnswerLost
                | Event::Hastened { from_the_beginning: false },
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000)
    }

    fn answered(delivery: Delivery) -> WakeEvent {
        WakeEvent::Answered { delivery, acknowledge_within: HOUR }
    }

    fn failed() -> WakeEvent {
        answered(Delivery::Failed { error: "exit 1".to_owned() })
    }

    fn busy() -> WakeEvent {
        answered(Delivery::Busy { retry_after: None, reason: "turn is live".to_owned() })
    }

    fn run(events: &[WakeEvent]) -> (WakeProgress, Option<FollowUpEvent>) {
        let policy = RetryPolicy::default();
        events.iter().fold((WakeProgress::new(at(0)), None), |(progress, _), event| {
            progress.after(event, &policy, at(10), 0.5)
        })
    }

    #[test]
    fn what_a_sink_answers_decides_what_becomes_of_the_follow_ups() {
        let after = |delivery| {
            let (progress, event) = run(&[WakeEvent::Started, answered(delivery)]);
            (progress.state, progress.attempts, progress.next_at, event)
        };
        use FollowUpEvent as Event;
        assert_eq!(after(Delivery::Delivered), (WakeState::Delivered, 1, None, Some(Event::Acknowledged)));
        assert_eq!(
            after(Delivery::HandedOff),
            (WakeState::HandedOff, 1, Some(at(3_610)), Some(Event::HandedOff))
        );
        let (retry_after, reason) = (Some(Duration::from_secs(7)), String::new());
        assert_eq!(
            after(Delivery::Busy { retry_after, reason }),
            (WakeState::Scheduled, 0, Some(at(17)), None)
        );
        let reason = "no such chat".to_owned();
        assert_eq!(after(Delivery::Gone { reason }), (WakeState::Dead, 1, None, Some(Event::GivenUp)));
        let error = "exit 1".to_owned();
        assert_eq!(
            after(Delivery::Failed { error }),
            (WakeState::Scheduled, 1, Some(at(15)), Some(Event::AttemptFailed))
        );
    }

    #[test]
    fn an_hour_of_busy_answers_uses_up_no_attempt() {
        let mut events = Vec::new();
        for _ in 0..1_000 {
            events.extend([WakeEvent::Started, busy()]);
        }
        let (progress, event) = run(&events);
        assert_eq!((progress.state, progress.attempts, event), (WakeState::Scheduled, 0, None));
        assert_eq!(progress.last_error.as_deref(), Some("busy: turn is live"));
    }

    #[test]
    fn the_twelfth_failure_is_the_last() {
        let mut events = Vec::new();
        for _ in 0..11 {
            events.extend([WakeEvent::Started, failed()]);
        }
        assert_eq!(run(&events).0.state, WakeState::Scheduled);
        events.extend([WakeEvent::Started, failed()]);
        let (progress, event) = run(&events);
        assert_eq!((progress.state, progress.attempts), (WakeState::Dead, 12));
        assert_eq!(event, Some(FollowUpEvent::GivenUp));
    }

    #[test]
    fn a_wake_that_ends_its_monitors_is_given_up_at_last() {
        let rounds = [WakeEvent::Started, WakeEvent::AnswerLost].into_iter().cycle();
        let events: Vec<WakeEvent> = rounds.take(24).collect();
        assert_eq!(run(&events[..22]).0.state, WakeState::Scheduled);
        assert_eq!(run(&events).0.state, WakeState::Dead);
    }

    #[test]
    fn what_nobody_acknowledges_is_sent_again() {
        let handed_off = [WakeEvent::Started, answered(Delivery::HandedOff)];
        let (progress, event) = run(&[&handed_off[..], &[WakeEvent::NotAcknowledged]].concat());
        assert_eq!((progress.state, progress.attempts), (WakeState::Scheduled, 1));
        assert_eq!(event, Some(FollowUpEvent::AttemptFailed));
        assert!(progress.is_due(at(10)));
    }

    #[test]
    fn what_no_sink_has_can_be_taken_once() {
        let take = WakeEvent::Taken { acknowledge_within: HOUR };
        let taken = WakeState::HandedOff;
        let (progress, event) = run(&[WakeEvent::Started, busy(), take.clone()]);
        assert_eq!((progress.state, progress.attempts, progress.next_at), (taken, 1, Some(at(3_610))));
        assert_eq!(event, Some(FollowUpEvent::HandedOff));
        assert_eq!(run(&[WakeEvent::Started, take.clone()]).0.state, WakeState::InFlight);
        assert_eq!(run(&[take.clone(), WakeEvent::Started]).0.state, taken);
        assert_eq!(run(&[take.clone(), take.clone()]).1, None);
        let (progress, event) = run(&[take, WakeEvent::Confirmed]);
        assert_eq!((progress.state, event), (WakeState::Delivered, Some(FollowUpEvent::Acknowledged)));
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let (progress, _) = run(&[WakeEvent::Started, failed()]);
        assert!(!progress.is_due(at(11)));
        assert!(progress.is_due(at(-86_400)));
    }

    fn any_event() -> impl Strategy<Value = WakeEvent> {
        prop::sample::select(vec![
            WakeEvent::Started,
            answered(Delivery::Delivered),
            answered(Delivery::HandedOff),
            busy(),
            answered(Delivery::Gone { reason: "x".repeat(2_000) }),
            failed(),
            WakeEvent::Taken { acknowledge_within: HOUR },
            WakeEvent::Confirmed,
            WakeEvent::AnswerLost,
            WakeEvent::NotAcknowledged,
            WakeEvent::Settled,
            WakeEvent::Hastened { from_the_beginning: false },
            WakeEvent::Hastened { from_the_beginning: true },
        ])
    }

    proptest! {
        #[test]
        fn what_is_over_stays_over_and_only_delivery_acknowledges(
            events in prop::collection::vec(any_event(), 0..60)
        ) {
            let policy = RetryPolicy::default();
            let mut progress = WakeProgress::new(at(0));
            for event in events {
                let (next, follow_up) = progress.after(&event, &policy, at(10), 0.5);
                if !progress.state.is_open() {
                    prop_assert_eq!(&next, &progress);
                    prop_assert_eq!(follow_up, None);
                }
                let proved = match progress.state {
                    WakeState::InFlight => event == answered(Delivery::Delivered),
                    WakeState::HandedOff => event == WakeEvent::Confirmed,
                    WakeState::Scheduled | WakeState::Delivered | WakeState::Dead | WakeState::Settled => false,
                };
                prop_assert_eq!(follow_up == Some(FollowUpEvent::Acknowledged), proved);
                prop_assert_eq!(
                    follow_up == Some(FollowUpEvent::GivenUp),
                    next.state == WakeState::Dead && progress.state.is_open()
                );
                prop_assert!(next.last_error.as_ref().is_none_or(|error| error.chars().count() <= 501));
                progress = next;
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in WakeState::ALL {
            assert_eq!(WakeState::from_name(state.as_str()), Some(state));
        }
    }
}
