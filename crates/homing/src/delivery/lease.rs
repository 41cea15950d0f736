//! Leases wakes to hosts that deliver them themselves. The lease is in the ledger: it ends at its time, whatever happens to
//! the host, to this process or to the monitor.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use homing_core::{Delivery, LeaseId, LeasedWake, OpenWake, SessionId, Timestamp, WakeId, WakeState};
#[cfg(feature = "async")]
use homing_supervisor::platform::wait::WaitSource;

use crate::context::Context;
use crate::delivery::claim::{CONFIRM_WITHIN, ClaimAttempt, Claimant, Means, Terms};
use crate::delivery::listen::MONITOR_CHECK;
use crate::delivery::session_jobs::SessionJobs;
use crate::ledger::{ChangeContext, LeaseAnswer, Ledger, SessionState};
use crate::{Error, Result};

/// How long a lease may last.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);

/// The most characters of the name of a host.
const MAX_HOLDER_CHARS: usize = 64;

/// The first and the longest pause before another attempt, while the session reads a result itself or another process has
/// just changed the wake.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How to lease a wake: see [`Homing::lease_wake`](crate::Homing::lease_wake).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The longest time to wait for a wake. Zero does not wait.
    pub wait: Duration,
    /// How long the host may take to deliver the wake and to answer: 1 second to 1 hour.
    pub lease: Duration,
    /// The name of the host, for people: 1 to 64 characters without control characters.
    pub holder: String,
}

impl LeaseOptions {
    /// Does not wait. The lease lasts 60 seconds.
    pub fn new(holder: impl Into<String>) -> LeaseOptions {
        LeaseOptions { wait: Duration::ZERO, lease: Duration::from_secs(60), holder: holder.into() }
    }

    fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidRequest(message));
        if !LEASES.contains(&self.lease) {
            return invalid(format!("a lease lasts 1s to 1h, not {:?}", self.lease));
        }
        let chars = self.holder.chars().count();
        if !(1..=MAX_HOLDER_CHARS).contains(&chars) || self.holder.chars().any(char::is_control) {
            return invalid(format!(
                "the name of a host has 1 to {MAX_HOLDER_CHARS} characters and no control characters"
            ));
        }
        Ok(())
    }
}

/// A wait for a wake to lease.
#[derive(Debug)]
pub(crate) struct LeaseWait {
    claimant: Claimant,
    terms: Terms,
    /// `None` without a limit.
    give_up_at: Option<Instant>,
    /// `None` until an attempt has found nothing.
    jobs: Option<SessionJobs>,
    watches_ledger: bool,
    pause: Duration,
}

/// The result of an attempt.
#[derive(Debug)]
pub(crate) enum LeaseAttempt {
    Leased(Box<LeasedWake>),
    TimedOut,
    /// Nothing yet: try again after a change, or after this time.
    Wait(Option<Duration>),
}

impl LeaseWait {
    /// # Errors
    /// If the options are invalid.
    pub(crate) fn new(session: &SessionId, options: &LeaseOptions) -> Result<LeaseWait> {
        options.check()?;
        let means = Means::Leases { holder: options.holder.clone(), lasts: options.lease };
        Ok(LeaseWait {
            claimant: Claimant { session: session.clone(), harness: None },
            terms: Terms { means, room: usize::MAX },
            give_up_at: Instant::now().checked_add(options.wait),
            jobs: None,
            watches_ledger: false,
            pause: PAUSES.0,
        })
    }

    /// Becomes readable when another attempt may succeed. `None` if the system has no free watch.
    #[cfg(feature = "async")]
    pub(crate) fn readable(&self) -> Option<WaitSource<'_>> {
        self.jobs.as_ref().and_then(SessionJobs::readable)
    }

    fn wait(&self, timeout: Option<Duration>) {
        if let Some(jobs) = &self.jobs {
            jobs.wait(None, timeout);
        }
    }
}

impl Context {
    /// Leases the next wake of a session to a host.
    pub(crate) fn lease_wake(
        &self,
        session: &SessionId,
        options: &LeaseOptions,
    ) -> Result<Option<LeasedWake>> {
        let mut waiting = LeaseWait::new(session, options)?;
        loop {
            match self.try_lease(&mut waiting)? {
                LeaseAttempt::Leased(leased) => return Ok(Some(*leased)),
                LeaseAttempt::TimedOut => return Ok(None),
                LeaseAttempt::Wait(timeout) => waiting.wait(timeout),
            }
        }
    }

    /// Tries to lease a wake. Does not wait.
    pub(crate) fn try_lease(&self, waiting: &mut LeaseWait) -> Result<LeaseAttempt> {
        loop {
            match &mut waiting.jobs {
                Some(jobs) => jobs.update(self)?,
                None => drop(self.sync()?),
            }
            if waiting.watches_ledger {
                self.with_ledger(Ledger::wait_for_writer)?;
            }
            match self.try_claim(&waiting.claimant, &waiting.terms)? {
                ClaimAttempt::Claimed { wake, lease: Some(lease) } => {
                    return Ok(LeaseAttempt::Leased(Box::new(LeasedWake { wake: *wake, lease })));
                }
                ClaimAttempt::Claimed { lease: None, .. }
                | ClaimAttempt::Nothing
                | ClaimAttempt::Leased
                | ClaimAttempt::Elsewhere => {}
            }
            let state = self.session_state(&waiting.claimant.session)?;
            // If none can be started, one may be started elsewhere.
            let _ = self.start_monitor_for(&state);
            let left = waiting.give_up_at.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(LeaseAttempt::TimedOut);
            }
            let Some(jobs) = &mut waiting.jobs else {
                // Try again after the watch begins.
                waiting.jobs = Some(SessionJobs::of(self, &waiting.claimant.session));
                continue;
            };
            if !jobs.refresh(self)? {
                continue;
            }
            // Reports that a sink or another host answers. Try again after the watch begins.
            if state.has_undelivered() && !waiting.watches_ledger {
                jobs.watch_ledger(self);
                waiting.watches_ledger = true;
                continue;
            }
            let next = self.next_lease_attempt(&state, &mut waiting.pause);
            return Ok(LeaseAttempt::Wait(next.into_iter().chain(left).min()));
        }
    }

    /// How long to wait if nothing changes; `None` without a limit.
    fn next_lease_attempt(&self, state: &SessionState, pause: &mut Duration) -> Option<Duration> {
        let now = self.now();
        let needed = || state.open.iter().filter(|wake| !wake.is_superseded);
        let in_state =
            |wanted: WakeState| needed().filter(move |wake: &&OpenWake| wake.progress.state == wanted);
        let lease = state.open.iter().find_map(|wake| wake.progress.lease.as_ref());
        let is_in_flight = lease.is_some() || state.is_at_sink();
        // The first one holds back the others.
        let scheduled = in_state(WakeState::Scheduled).next();
        let handed_off = in_state(WakeState::HandedOff).filter_map(|wake| wake.progress.next_at);
        let is_undelivered = scheduled.is_none() && !state.undelivered.is_empty();
        let budget = is_undelivered.then(|| self.budget_frees_at(state)).flatten();
        let times =
            [lease.map(|lease| lease.expires_at), scheduled.and_then(|wake| wake.progress.next_at), budget];
        let times = times.into_iter().flatten().chain(handed_off).filter(|at| *at > now);
        let until = |at: Timestamp| at.saturating_since(now).max(PAUSES.0);
        let is_due =
            scheduled.is_some_and(|wake| wake.progress.is_due(now)) || (is_undelivered && budget.is_none());
        let again = (is_due && !is_in_flight).then(|| {
            let again = *pause;
            *pause = (*pause * 2).min(PAUSES.1);
            again
        });
        let check = state.is_at_sink().then_some(MONITOR_CHECK);
        times.min().map(until).into_iter().chain(again).chain(check).min()
    }

    /// Records the answer of the host that has a lease.
    pub(crate) fn answer_lease(&self, wake: WakeId, lease: LeaseId, answer: &Delivery) -> Result<()> {
        let policy = self.config().monitor.retry_policy();
        let context = ChangeContext { policy: &policy, now: self.now(), jitter: 0.5 };
        let recorded =
            self.with_ledger(|ledger| ledger.answer_lease((wake, lease), answer, CONFIRM_WITHIN, &context))?;
        // The active monitor and waiting hosts learn that the session is free.
        match recorded {
            LeaseAnswer::Recorded(jobs) => {
                self.notify_monitor(&jobs);
                Ok(())
            }
            LeaseAnswer::Lost(loss, jobs) => {
                self.notify_monitor(&jobs);
                Err(Error::LeaseLost { wake, loss })
            }
            LeaseAnswer::NoSuchWake => Err(Error::NoSuchWake(wake)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_lease_are_checked() {
        let options = LeaseOptions::new("host");
        assert!(options.check().is_ok());
        for seconds in [1, 3_600] {
            assert!(LeaseOptions { lease: Duration::from_secs(seconds), ..options.clone() }.check().is_ok());
        }
        for lease in [Duration::ZERO, Duration::from_millis(999), Duration::from_millis(3_600_001)] {
            let error = LeaseOptions { lease, ..options.clone() }.check().unwrap_err();
            assert_eq!(error.code(), "invalid_request");
        }
        for holder in [String::new(), "x".repeat(65), "a\u{1b}[31m".to_owned(), "a\nb".to_owned()] {
            assert!(LeaseOptions { holder, ..options.clone() }.check().is_err());
        }
    }
}
