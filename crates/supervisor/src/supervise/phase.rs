//! The phases of a supervised job, and what the supervisor does next in each of them. Pure: no I/O and no clock.

use std::time::Duration;

use homing_core::{KilledBy, LeftoverPolicy, Outcome};

/// How long processes that survive the main process may take to end by themselves, for example the `tee` of a
/// pipeline.
const DRAIN: Duration = Duration::from_millis(200);

/// Maximum time between SIGTERM and SIGKILL for leftovers. It is short, because the result waits for them.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

/// The limits of a job. All times of this module are on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// When its timeout expires; `None` if it has none.
    pub(super) deadline: Option<Duration>,
    /// Time between SIGTERM and SIGKILL.
    pub(super) grace: Duration,
    /// What happens to processes that survive the main process.
    pub(super) leftovers: LeftoverPolicy,
}

/// The phase of a supervised job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The main process is running.
    Running,
    /// The whole tree received SIGTERM.
    Ending { why: Ending, kill_at: Duration },
    /// The main process ended by itself. Other processes are still running and may end by themselves.
    Draining { until: Duration },
    /// The leftovers received SIGTERM.
    EndingLeftovers { kill_at: Duration },
    /// The job is recorded as finished. Its leftovers keep running and may write output.
    Keeping,
}

/// Why the supervisor ends a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    TimedOut,
    Killed(KilledBy),
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Outcome {
        match ending {
            Ending::TimedOut => Outcome::TimedOut,
            Ending::Killed(by) => Outcome::Killed { by },
        }
    }
}

/// What the supervisor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for the next event.
    Wait,
    /// Record the end of the main process, and let the others end by themselves.
    Drain,
    /// Record the reason, and send SIGTERM to the whole tree.
    EndTree(Ending),
    /// Send SIGTERM to the processes that survived the main process.
    EndLeftovers,
    /// Record the end of the job, and keep its leftovers.
    KeepLeftovers,
    /// Send SIGKILL to the whole tree, and record the end of the job.
    KillTree,
}

impl Phase {
    /// The phase after SIGTERM was sent to the whole tree.
    pub(super) fn ending(why: Ending, now: Duration, limits: &Limits) -> Phase {
        Phase::Ending { why, kill_at: now.saturating_add(limits.grace) }
    }

    /// The phase after the main process has ended by itself.
    pub(super) fn draining(now: Duration) -> Phase {
        Phase::Draining { until: now + DRAIN }
    }

    /// The phase while the attached reader has to read before more output can be stored: the other processes may end by
    /// themselves only after that.
    pub(super) fn while_blocked(self, now: Duration) -> Phase {
        match self {
            Phase::Draining { .. } => Phase::draining(now),
            Phase::Running | Phase::Ending { .. } | Phase::EndingLeftovers { .. } | Phase::Keeping => self,
        }
    }

    /// The phase after SIGTERM was sent to the leftovers.
    pub(super) fn ending_leftovers(now: Duration, limits: &Limits) -> Phase {
        Phase::EndingLeftovers { kill_at: now + limits.grace.min(LEFTOVER_GRACE) }
    }

    /// Returns the next step at `now`. `main_has_ended` says whether the main process was reaped.
    pub(super) fn step(self, main_has_ended: bool, now: Duration, limits: &Limits) -> Step {
        match self {
            Phase::Running if main_has_ended => Step::Drain,
            Phase::Running if limits.deadline.is_some_and(|deadline| now >= deadline) => {
                Step::EndTree(Ending::TimedOut)
            }
            Phase::Draining { until } if now >= until => match limits.leftovers {
                LeftoverPolicy::Kill => Step::EndLeftovers,
                LeftoverPolicy::Keep => Step::KeepLeftovers,
            },
            Phase::Ending { kill_at, .. } | Phase::EndingLeftovers { kill_at } if now >= kill_at => {
                Step::KillTree
            }
            Phase::Running
            | Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::EndingLeftovers { .. }
            | Phase::Keeping => Step::Wait,
        }
    }

    /// Returns the next step after a request to end the job.
    pub(super) fn step_on_request(self, by: KilledBy) -> Step {
        match self {
            Phase::Running => Step::EndTree(Ending::Killed(by)),
            // The outcome is already decided; end the leftovers now.
            Phase::Draining { .. } => Step::EndLeftovers,
            Phase::Ending { .. } | Phase::EndingLeftovers { .. } => Step::Wait,
            Phase::Keeping => Step::KillTree,
        }
    }

    /// Whether processes of the job have received SIGTERM. Orphans that appear from now on must receive it too.
    pub(super) fn is_ending(self) -> bool {
        match self {
            Phase::Ending { .. } | Phase::EndingLeftovers { .. } => true,
            Phase::Running | Phase::Draining { .. } | Phase::Keeping => false,
        }
    }

    /// Returns the outcome if the main process ends in this phase: `by_itself`, unless the supervisor was already
    /// ending it.
    pub(super) fn outcome(self, by_itself: Outcome) -> Outcome {
        match self {
            Phase::Ending { why, .. } => why.into(),
            Phase::Running | Phase::Draining { .. } | Phase::EndingLeftovers { .. } | Phase::Keeping => {
                by_itself
            }
        }
    }

    /// Returns when [`Phase::step`] answers something else even if no event arrives; `None` for never.
    pub(super) fn due(self, limits: &Limits) -> Option<Duration> {
        match self {
            Phase::Running => limits.deadline,
            Phase::Draining { until } => Some(until),
            Phase::Ending { kill_at, .. } | Phase::EndingLeftovers { kill_at } => Some(kill_at),
            Phase::Keeping => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const LATER: Duration = Duration::from_secs(101);
    const KILLED: Ending = Ending::Killed(KilledBy::Session);

    fn limits(deadline: Option<Duration>) -> Limits {
        Limits { deadline, grace: Duration::from_secs(10), leftovers: LeftoverPolicy::Kill }
    }

    /// Each phase, due at `at`.
    fn phases(at: Duration) -> [Phase; 5] {
        [
            Phase::Running,
            Phase::Ending { why: KILLED, kill_at: at },
            Phase::Draining { until: at },
            Phase::EndingLeftovers { kill_at: at },
            Phase::Keeping,
        ]
    }

    #[test]
    fn each_phase_waits_until_it_is_due() {
        let limits = limits(Some(LATER));
        assert_eq!(phases(LATER).map(|phase| phase.step(false, NOW, &limits)), [Step::Wait; 5]);
        let due = phases(LATER).map(|phase| phase.due(&limits));
        assert_eq!(due, [Some(LATER), Some(LATER), Some(LATER), Some(LATER), None]);
        let steps = phases(LATER).map(|phase| phase.step(false, LATER, &limits));
        let timed_out = Step::EndTree(Ending::TimedOut);
        assert_eq!(steps, [timed_out, Step::KillTree, Step::EndLeftovers, Step::KillTree, Step::Wait]);
    }

    #[test]
    fn end_of_the_main_process_comes_before_its_timeout() {
        assert_eq!(Phase::Running.step(true, NOW, &limits(Some(NOW))), Step::Drain);
        assert_eq!(Phase::Running.step(false, NOW, &limits(None)), Step::Wait);
    }

    #[test]
    fn leftovers_are_kept_if_the_job_asks_for_it() {
        let limits = Limits { leftovers: LeftoverPolicy::Keep, ..limits(None) };
        assert_eq!(Phase::Draining { until: NOW }.step(true, NOW, &limits), Step::KeepLeftovers);
    }

    #[test]
    fn request_never_changes_a_decided_outcome() {
        let steps = phases(LATER).map(|phase| phase.step_on_request(KilledBy::Operator));
        let killed = Step::EndTree(Ending::Killed(KilledBy::Operator));
        assert_eq!(steps, [killed, Step::Wait, Step::EndLeftovers, Step::Wait, Step::KillTree]);
        let exited = Outcome::Exited { exit_code: 0 };
        let outcomes = phases(LATER).map(|phase| phase.outcome(exited.clone()));
        let by_session = Outcome::Killed { by: KilledBy::Session };
        assert_eq!(outcomes, [exited.clone(), by_session, exited.clone(), exited.clone(), exited]);
    }

    #[test]
    fn leftovers_get_a_short_grace_period() {
        let long = limits(None);
        let short = Limits { grace: Duration::from_millis(5), ..long };
        assert_eq!(
            Phase::ending_leftovers(NOW, &long),
            Phase::EndingLeftovers { kill_at: NOW + LEFTOVER_GRACE }
        );
        assert_eq!(
            Phase::ending_leftovers(NOW, &short),
            Phase::EndingLeftovers { kill_at: NOW + short.grace }
        );
        assert_eq!(
            Phase::ending(KILLED, NOW, &long),
            Phase::Ending { why: KILLED, kill_at: NOW + long.grace }
        );
        let forever = Limits { grace: Duration::MAX, ..long };
        assert_eq!(
            Phase::ending(KILLED, NOW, &forever),
            Phase::Ending { why: KILLED, kill_at: Duration::MAX }
        );
    }

    #[test]
    fn leftovers_that_wait_for_the_reader_get_more_time_but_no_other_phase_changes() {
        let blocked = phases(NOW).map(|phase| phase.while_blocked(LATER));
        let expected = phases(NOW).map(|phase| match phase {
            Phase::Draining { .. } => Phase::Draining { until: LATER + DRAIN },
            other => other,
        });
        assert_eq!(blocked, expected);
    }

    #[test]
    fn only_phases_with_a_sigterm_are_ending() {
        assert_eq!(phases(NOW).map(Phase::is_ending), [false, true, false, true, false]);
    }
}
