//! What is to be done next for one session: at most one wake in flight, in the order in which they were made, at a
//! bounded pace.

use std::time::Duration;

use super::{WakeId, WakeProgress, WakeState, budget_frees_at};
use crate::Timestamp;

/// What is known of a session that may have to be told.
#[derive(Clone, Debug, Default)]
pub struct SessionView {
    /// Its wakes that are not over, oldest first.
    pub open: Vec<OpenWake>,
    /// Whether jobs are due that no wake carries yet, and a sink for them is known.
    pub has_undelivered: bool,
    /// When its wakes of the last hour were made.
    pub made_at: Vec<Timestamp>,
}

/// A wake that is not over.
#[derive(Clone, Debug)]
pub struct OpenWake {
    /// Which.
    pub id: WakeId,
    /// How far it is.
    pub progress: WakeProgress,
    /// Whether nobody has to be told of any of its jobs any more.
    pub is_superseded: bool,
}

/// How often a session may be woken.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Shortest time between two wakes.
    pub batch_window: Duration,
    /// Most wakes in an hour.
    pub wakes_per_hour: u32,
}

/// What is to be done next for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close this wake: its jobs were acknowledged or dropped by other ways.
    Supersede(WakeId),
    /// Send this one again: the time to acknowledge it is over.
    Expire(WakeId),
    /// Give this one to its sink.
    Send(WakeId),
    /// Make a wake of what is untold, and send it.
    Make,
    /// Nothing before `until`; without a time, before something happens.
    Wait {
        /// When to look again.
        until: Option<Timestamp>,
        /// Whether the budget is what holds untold jobs.
        held_by_budget: bool,
    },
}

/// Decides what is to be done next. Done step by step, this comes to [`Step::Wait`] in the end.
pub fn next_step(view: &SessionView, pace: &Pace, now: Timestamp) -> Step {
    let in_state = |state: WakeState| view.open.iter().filter(move |wake| wake.progress.state == state);
    if let Some(wake) =
        view.open.iter().find(|wake| wake.is_superseded && wake.progress.state != WakeState::InFlight)
    {
        return Step::Supersede(wake.id);
    }
    if in_state(WakeState::InFlight).next().is_some() {
        return Step::Wait { until: None, held_by_budget: false };
    }
    if let Some(expired) = in_state(WakeState::HandedOff).find(|wake| wake.progress.is_due(now)) {
        return Step::Expire(expired.id);
    }
    let next_deadline = in_state(WakeState::HandedOff).filter_map(|wake| wake.progress.next_at).min();
    let wait = |until: Option<Timestamp>, held_by_budget| Step::Wait {
        until: until.into_iter().chain(next_deadline).min(),
        held_by_budget,
    };
    // Nothing overtakes a wake that waits for its next attempt: what ends meanwhile is gathered behind it.
    if let Some(first) = in_state(WakeState::Scheduled).next() {
        return if first.progress.is_due(now) {
            Step::Send(first.id)
        } else {
            wait(first.progress.next_at, false)
        };
    }
    if !view.has_undelivered {
        return wait(None, false);
    }
    if let Some(free) = budget_frees_at(&view.made_at, pace.wakes_per_hour, now) {
        return wait(Some(free), true);
    }
    // A time ahead of us was written before the clock was set back.
    let last_made = view.made_at.iter().filter(|made| **made <= now).max();
    match last_made.map(|made| made.saturating_add(pace.batch_window)) {
        Some(gathered) if gathered > now => wait(Some(gathered), false),
        Some(_) | None => Step::Make,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { batch_window: Duration::from_secs(1), wakes_per_hour: 3 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(millis)
    }

    fn wake(number: u8, state: WakeState, next_at: Option<i64>) -> OpenWake {
        let progress = WakeProgress { state, next_at: next_at.map(at), ..WakeProgress::new(at(0)) };
        OpenWake { id: id(number), progress, is_superseded: false }
    }

    fn id(number: u8) -> WakeId {
        WakeId::new(at(0), [number; 10])
    }

    fn step(open: &[OpenWake], has_undelivered: bool, made_at: &[i64], now: i64) -> Step {
        let made_at = made_at.iter().copied().map(at).collect();
        next_step(&SessionView { open: open.to_vec(), has_undelivered, made_at }, &PACE, at(now))
    }

    fn wait(until: Option<i64>) -> Step {
        Step::Wait { until: until.map(at), held_by_budget: false }
    }

    #[test]
    fn one_wake_at_a_time_in_the_order_of_making() {
        let in_flight = wake(1, WakeState::InFlight, None);
        assert_eq!(step(&[in_flight, wake(2, WakeState::Scheduled, None)], true, &[], 10_000), wait(None));
        let later = wake(1, WakeState::Scheduled, Some(20_000));
        let waiting = [later, wake(2, WakeState::Scheduled, None)];
        assert_eq!(step(&waiting, true, &[], 10_000), wait(Some(20_000)));
        assert_eq!(step(&waiting, true, &[], 20_000), Step::Send(id(1)));
    }

    #[test]
    fn what_was_handed_off_holds_nothing_up_until_its_time_is_over() {
        let handed_off = [wake(1, WakeState::HandedOff, Some(20_000))];
        assert_eq!(step(&handed_off, true, &[], 10_000), Step::Make);
        assert_eq!(step(&handed_off, false, &[], 10_000), wait(Some(20_000)));
        assert_eq!(step(&handed_off, true, &[], 20_000), Step::Expire(id(1)));
    }

    #[test]
    fn what_was_acknowledged_by_other_ways_is_closed_first() {
        let superseded = OpenWake { is_superseded: true, ..wake(1, WakeState::Scheduled, None) };
        assert_eq!(step(&[superseded], true, &[], 10_000), Step::Supersede(id(1)));
        let in_flight = OpenWake { is_superseded: true, ..wake(1, WakeState::InFlight, None) };
        assert_eq!(step(&[in_flight], true, &[], 10_000), wait(None));
    }

    #[test]
    fn what_ends_shortly_after_a_wake_is_gathered() {
        assert_eq!(step(&[], true, &[], 10_000), Step::Make);
        assert_eq!(step(&[], true, &[9_500], 10_000), wait(Some(10_500)));
        assert_eq!(step(&[], true, &[9_500], 10_500), Step::Make);
        assert_eq!(step(&[], false, &[9_500], 10_500), wait(None));
    }

    #[test]
    fn beyond_the_budget_untold_jobs_are_held() {
        let held = Step::Wait { until: Some(at(3_600_000)), held_by_budget: true };
        assert_eq!(step(&[], true, &[0, 10_000, 20_000], 30_000), held);
        assert_eq!(step(&[], true, &[0, 10_000, 20_000], 3_600_000), Step::Make);
    }
}
