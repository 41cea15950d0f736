//! Decides the next step for one session: at most one wake in flight, in the order of creation, at a bounded rate.

use std::time::Duration;

use super::{LeaseId, WakeId, WakeProgress, WakeState, budget_frees_at};
use crate::Timestamp;

/// The state of a session that may have undelivered results.
#[derive(Clone, Debug, Default)]
pub struct SessionView {
    /// Its open wakes, oldest first.
    pub open: Vec<OpenWake>,
    /// Whether follow-ups are due that are not part of a wake yet and that have a sink.
    pub has_undelivered: bool,
    /// When its wakes of the last hour were created.
    pub made_at: Vec<Timestamp>,
}

/// A wake that is not finished.
#[derive(Clone, Debug)]
pub struct OpenWake {
    /// Its id.
    pub id: WakeId,
    /// Its progress.
    pub progress: WakeProgress,
    /// Whether none of its jobs needs a notification any more.
    pub is_superseded: bool,
}

/// How often a session may be woken.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Minimum time between two wakes. Results that arrive meanwhile go into one wake.
    pub batch_window: Duration,
    /// Maximum number of wakes in an hour.
    pub wakes_per_hour: u32,
}

/// The next step for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Close this wake: its jobs were acknowledged or dropped outside this wake.
    Supersede(WakeId),
    /// Send this wake again: it was not acknowledged in time.
    Expire(WakeId),
    /// End this lease: the host did not answer in time.
    ExpireLease(WakeId, LeaseId),
    /// Send this wake to its sink.
    Send(WakeId),
    /// Create a wake from the undelivered results, and send it.
    Make,
    /// Do nothing until `until`, or until something changes.
    Wait {
        /// When to check again; `None` for no time.
        until: Option<Timestamp>,
        /// Whether the wake budget delays undelivered results.
        held_by_budget: bool,
    },
}

/// Decides the next step. If callers perform each step and ask again, they always reach [`Step::Wait`].
pub fn next_step(view: &SessionView, pace: &Pace, now: Timestamp) -> Step {
    let in_state = |state: WakeState| view.open.iter().filter(move |wake| wake.progress.state == state);
    if let Some(wake) =
        view.open.iter().find(|wake| wake.is_superseded && wake.progress.state != WakeState::InFlight)
    {
        return Step::Supersede(wake.id);
    }
    if let Some(in_flight) = in_state(WakeState::InFlight).next() {
        return match in_flight.progress.expired_lease(now) {
            Some(lease) => Step::ExpireLease(in_flight.id, lease.id),
            None => {
                let until = in_flight.progress.lease.as_ref().map(|lease| lease.expires_at);
                Step::Wait { until, held_by_budget: false }
            }
        };
    }
    if let Some(expired) = in_state(WakeState::HandedOff).find(|wake| wake.progress.is_due(now)) {
        return Step::Expire(expired.id);
    }
    let next_deadline = in_state(WakeState::HandedOff).filter_map(|wake| wake.progress.next_at).min();
    let wait = |until: Option<Timestamp>, held_by_budget| Step::Wait {
        until: until.into_iter().chain(next_deadline).min(),
        held_by_budget,
    };
    // Nothing overtakes a wake that waits for its next attempt. Jobs that finish meanwhile go into the next wake.
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
    // A time in the future was written before the clock was set back.
    let last_made = view.made_at.iter().filter(|made| **made <= now).max();
    match last_made.map(|made| made.saturating_add(pace.batch_window)) {
        Some(window_end) if window_end > now => wait(Some(window_end), false),
        Some(_) | None => Step::Make,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lease;

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
    fn wakes_are_sent_one_at_a_time_in_order() {
        let in_flight = wake(1, WakeState::InFlight, None);
        assert_eq!(step(&[in_flight, wake(2, WakeState::Scheduled, None)], true, &[], 10_000), wait(None));
        let later = wake(1, WakeState::Scheduled, Some(20_000));
        let waiting = [later, wake(2, WakeState::Scheduled, None)];
        assert_eq!(step(&waiting, true, &[], 10_000), wait(Some(20_000)));
        assert_eq!(step(&waiting, true, &[], 20_000), Step::Send(id(1)));
    }

    #[test]
    fn handed_off_wake_blocks_nothing_until_it_expires() {
        let handed_off = [wake(1, WakeState::HandedOff, Some(20_000))];
        assert_eq!(step(&handed_off, true, &[], 10_000), Step::Make);
        assert_eq!(step(&handed_off, false, &[], 10_000), wait(Some(20_000)));
        assert_eq!(step(&handed_off, true, &[], 20_000), Step::Expire(id(1)));
    }

    #[test]
    fn leased_wake_holds_back_the_next_one_until_it_expires() {
        let id_of_lease = LeaseId::new(at(0), [9; 10]);
        let lease = Lease { id: id_of_lease, holder: "host".to_owned(), expires_at: at(60_000) };
        let mut leased = wake(1, WakeState::InFlight, None);
        leased.progress = WakeProgress { lease: Some(lease), since: at(5_000), ..leased.progress };
        let next = wake(2, WakeState::Scheduled, None);
        for superseded in [false, true] {
            leased.is_superseded = superseded;
            let open = [leased.clone(), next.clone()];
            assert_eq!(step(&open, true, &[], 10_000), wait(Some(60_000)));
            assert_eq!(step(&open, true, &[], 60_000), Step::ExpireLease(id(1), id_of_lease));
            // The clock was set back behind the beginning of the lease.
            assert_eq!(step(&open, true, &[], 4_999), Step::ExpireLease(id(1), id_of_lease));
        }
    }

    #[test]
    fn superseded_wake_is_closed_first() {
        let superseded = OpenWake { is_superseded: true, ..wake(1, WakeState::Scheduled, None) };
        assert_eq!(step(&[superseded], true, &[], 10_000), Step::Supersede(id(1)));
        let in_flight = OpenWake { is_superseded: true, ..wake(1, WakeState::InFlight, None) };
        assert_eq!(step(&[in_flight], true, &[], 10_000), wait(None));
    }

    #[test]
    fn jobs_that_finish_within_the_batch_window_wait() {
        assert_eq!(step(&[], true, &[], 10_000), Step::Make);
        assert_eq!(step(&[], true, &[9_500], 10_000), wait(Some(10_500)));
        assert_eq!(step(&[], true, &[9_500], 10_500), Step::Make);
        assert_eq!(step(&[], false, &[9_500], 10_500), wait(None));
    }

    #[test]
    fn exhausted_budget_delays_undelivered_jobs() {
        let held = Step::Wait { until: Some(at(3_600_000)), held_by_budget: true };
        assert_eq!(step(&[], true, &[0, 10_000, 20_000], 30_000), held);
        assert_eq!(step(&[], true, &[0, 10_000, 20_000], 3_600_000), Step::Make);
    }
}
