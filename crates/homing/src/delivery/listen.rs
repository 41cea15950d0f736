//! Waits for results of a session in a process that the agent itself started as a background command of its harness: the
//! end of that command wakes the agent. What it prints is handed off. Only the agent acknowledges it.

use std::time::{Duration, Instant};

use homing_core::text::RESULT_LIMIT_CHARS;
use homing_core::{Job, JobId, OpenWake, Timestamp, Wake, WakeState};
use homing_supervisor::crash_point;
use homing_supervisor::platform::wait::{WaitSource, is_ready_within};

use crate::Result;
use crate::context::Context;
use crate::delivery::claim::{ClaimAttempt, Claimant, Means, Terms, is_of_this_turn};
use crate::delivery::session_jobs::SessionJobs;
use crate::harness::origin::Origin;
use crate::ledger::{Ledger, SessionState};

/// The first and the longest pause before a result is claimed again that the session reads itself. It reads for 30 s at
/// most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How often to check, while a sink has a wake, that a monitor is active: nothing reports its death.
pub(super) const MONITOR_CHECK: Duration = Duration::from_secs(30);

/// How to listen: see [`Homing::listen`](crate::Homing::listen).
#[derive(Clone, Copy, Debug, Default)]
pub struct ListenOptions<'a> {
    /// The longest time to wait; without it, as long as jobs of the session run.
    pub timeout: Option<Duration>,
    /// Ends the wait when it becomes readable, such as a pipe that is written to when the reader is gone.
    pub stop: Option<WaitSource<'a>>,
}

/// The end of [`Homing::listen`](crate::Homing::listen).
#[derive(Debug)]
#[non_exhaustive]
pub enum Listened {
    /// Results of the session. Print them, or [give them back](crate::Homing::give_back).
    Results {
        /// The wakes, oldest first; together they have at most 16,000 characters of text.
        wakes: Vec<Wake>,
        /// The jobs of the session that still run.
        running: usize,
        /// Whether more results are due that did not fit.
        more: bool,
    },
    /// No job of the session runs, and no result is undelivered.
    Nothing {
        /// Jobs whose results were handed off and are not acknowledged yet.
        unacknowledged: Vec<JobId>,
    },
    /// The timeout expired.
    TimedOut {
        /// The jobs of the session that still run.
        running: usize,
    },
    /// [`ListenOptions::stop`] became readable, or the harness has opened another session instead.
    Stopped,
}

impl Context {
    /// Waits for results of a session and claims them for a caller that prints them.
    pub(crate) fn listen(&self, listener: &Origin, options: ListenOptions<'_>) -> Result<Listened> {
        let claimant = Claimant { session: listener.session.clone(), harness: listener.harness.clone() };
        let was_open_here = self.is_open_here(&claimant);
        let give_up_at = options.timeout.map(|timeout| Instant::now() + timeout);
        let mut jobs = SessionJobs::of(self, &claimant.session);
        let mut watches_ledger = false;
        let mut pause = PAUSES.0;
        loop {
            jobs.update(self)?;
            if watches_ledger {
                self.with_ledger(Ledger::wait_for_writer)?;
            }
            // A harness may have opened another session, which must not get these results.
            if is_ready(options.stop) || (was_open_here && !self.is_open_here(&claimant)) {
                return Ok(Listened::Stopped);
            }
            let wakes = self.claim_all(&claimant)?;
            let state = self.session_state(&claimant.session)?;
            let is_current = jobs.refresh(self)?;
            if !wakes.is_empty() {
                crash_point("listen/claimed");
                return Ok(Listened::Results { wakes, running: jobs.running(), more: state.is_due() });
            }
            if !is_current {
                continue;
            }
            let is_due = state.is_due();
            if !is_due && jobs.running() == 0 {
                return Ok(Listened::Nothing { unacknowledged: self.handed_off(&state)? });
            }
            if give_up_at.is_some_and(|at| at <= Instant::now()) {
                return Ok(Listened::TimedOut { running: jobs.running() });
            }
            // Reports that a sink answers. Read again after the watch begins.
            if is_due && !watches_ledger {
                jobs.watch_ledger(self);
                watches_ledger = true;
                continue;
            }
            self.start_monitor_for(&state)?;
            let next = self.next_attempt(&state, &mut pause);
            let left = give_up_at.map(|at| at.saturating_duration_since(Instant::now()));
            jobs.wait(options.stop, next.into_iter().chain(left).min());
        }
    }

    /// Claims everything that is due, as far as it fits into one text.
    fn claim_all(&self, claimant: &Claimant) -> Result<Vec<Wake>> {
        let mut wakes: Vec<Wake> = Vec::new();
        let mut room = RESULT_LIMIT_CHARS;
        let terms = |room| Terms { means: Means::Prints, room };
        while let ClaimAttempt::Claimed { wake, .. } = self.try_claim(claimant, &terms(room))? {
            room = room.saturating_sub(wake.content.text.chars().count());
            wakes.push(*wake);
        }
        Ok(wakes)
    }

    /// How long to wait if no job changes; `None` without a limit.
    fn next_attempt(&self, state: &SessionState, pause: &mut Duration) -> Option<Duration> {
        let now = self.now();
        let handed_off =
            |wake: &&OpenWake| wake.progress.state == WakeState::HandedOff && !wake.is_superseded;
        let deadlines = state.open.iter().filter(handed_off).filter_map(|wake| wake.progress.next_at);
        let leases = state.open.iter().filter_map(|wake| wake.progress.lease.as_ref());
        let deadlines = deadlines.chain(leases.map(|lease| lease.expires_at));
        let deadline = deadlines.filter(|at| *at > now).min();
        let budget = (!state.undelivered.is_empty()).then(|| self.budget_frees_at(state)).flatten();
        let until = |at: Timestamp| at.saturating_since(now).max(PAUSES.0);
        let is_in_flight = state.open.iter().any(|wake| wake.progress.state == WakeState::InFlight);
        // Neither a delivery nor the budget is in the way: the session reads the result itself, or another process has
        // just changed it.
        let is_read = state.is_due() && !is_in_flight && budget.is_none();
        let again = is_read.then(|| {
            let again = *pause;
            *pause = (*pause * 2).min(PAUSES.1);
            again
        });
        let check = state.is_at_sink().then_some(MONITOR_CHECK);
        deadline.into_iter().chain(budget).map(until).chain(again).chain(check).min()
    }

    /// Starts a monitor for a wake that a sink has while no monitor runs: only a monitor can find out what became of it.
    pub(super) fn start_monitor_for(&self, state: &SessionState) -> Result<()> {
        for wake in state.at_sink() {
            let found = self.with_ledger(|ledger| ledger.wake_to_send(wake.id))?;
            let Some(job) = found.and_then(|(wake, _)| wake.content.job_ids.first().copied()) else {
                continue;
            };
            if let Ok(job) = self.get(job) {
                self.start_monitor_if_needed(&job)?;
            }
        }
        Ok(())
    }

    /// The jobs of the session whose results were handed off and are not acknowledged.
    fn handed_off(&self, state: &SessionState) -> Result<Vec<JobId>> {
        let mut jobs = Vec::new();
        for wake in state.open.iter().filter(|wake| wake.progress.state == WakeState::HandedOff) {
            let found = self.with_ledger(|ledger| ledger.wake_to_send(wake.id))?;
            jobs.extend(found.into_iter().flat_map(|(wake, _)| wake.content.job_ids));
        }
        let jobs = jobs.into_iter().filter_map(|job| self.get(job).ok());
        Ok(jobs.filter(Job::is_unread).map(|job| job.id).collect())
    }
}

fn is_ready(source: Option<WaitSource<'_>>) -> bool {
    source.is_some_and(|source| is_ready_within(source, Duration::ZERO).unwrap_or(false))
}

impl SessionState {
    /// The wakes that a sink has and has not answered yet.
    fn at_sink(&self) -> impl Iterator<Item = &OpenWake> {
        let is_at_sink =
            |wake: &&OpenWake| wake.progress.state == WakeState::InFlight && wake.progress.lease.is_none();
        self.open.iter().filter(is_at_sink)
    }

    /// Whether a sink has a wake and has not answered yet.
    pub(super) fn is_at_sink(&self) -> bool {
        self.at_sink().next().is_some()
    }

    /// Whether anything is due for a process of the session. The wake that began its turn is not: the agent reads it.
    fn is_due(&self) -> bool {
        let waits = |state| matches!(state, WakeState::Scheduled | WakeState::InFlight);
        let mut open = self.open.iter().filter(|wake| !wake.is_superseded && waits(wake.progress.state));
        !self.undelivered.is_empty() || open.any(|wake| !is_of_this_turn(wake.id))
    }
}
