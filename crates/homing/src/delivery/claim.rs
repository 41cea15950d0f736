//! Claims wakes for callers that deliver them themselves: a hook of the harness shows a wake to the agent and confirms it,
//! `homing listen` prints it, a host leases it. The monitor and any number of callers may compete for the same wake. Only
//! one of them gets it.

use std::time::{Duration, Instant};

use homing_core::text::WakeFormat;
use homing_core::{
    BUDGET_WINDOW, JobId, Lease, LeaseId, OpenWake, SessionId, Timestamp, Wake, WakeEvent, WakeId, WakeState,
    budget_frees_at,
};
use homing_supervisor::DiskError;
use homing_supervisor::layout::notify_change;
use homing_supervisor::platform::{process, random};

use crate::Result;
use crate::config::Acknowledge;
use crate::context::Context;
use crate::delivery::monitor::WakeStyle;
use crate::delivery::only_waiter::OnlyWaiter;
use crate::delivery::routes::{Addressee, sink_of};
use crate::delivery::session_jobs::SessionJobs;
use crate::harness::{WAKE_VARIABLE, has_queued, open_in, preset_format};
use crate::ledger::{ChangeContext, NewWake, SessionState, Undelivered, WakeChange, oldest_of};

/// How long a claimed wake may stay unconfirmed before it is delivered again.
pub(super) const CONFIRM_WITHIN: Duration = Duration::from_secs(900);

/// How long a claim waits for a delivery in flight.
const SINK_TIMEOUT: Duration = Duration::from_secs(2);

/// The first and the longest pause between two attempts to claim.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A caller that delivers wakes to a session itself, such as a hook of the harness in which the session is open.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The session. It receives only its own wakes.
    pub session: SessionId,
    /// The name of the harness's preset, if the session belongs to a harness.
    pub harness: Option<String>,
}

impl Claimant {
    /// Whether the monitor has put a wake into the queue of the harness, which shows it to the agent.
    fn has_queued(&self, wake: &Wake) -> bool {
        self.harness.as_ref().is_some_and(|harness| has_queued(harness, self.session.as_str(), wake))
    }
}

impl Context {
    /// Claims the next wake of a session for a caller that shows it to the agent. No sink or other hook can deliver
    /// it meanwhile. Returns `None` if nothing is undelivered, if a sink delivers it, or if the session has used up
    /// its wakes of this hour. Waits up to 2 seconds for a delivery in flight: most sinks find out by then that the
    /// session is open here.
    pub(crate) fn claim_wake(&self, claimant: &Claimant) -> Result<Option<Wake>> {
        self.sync()?;
        let give_up_at = Instant::now() + SINK_TIMEOUT;
        loop {
            match self.try_claim(claimant, &HOOK)? {
                ClaimAttempt::Claimed { wake, .. } => return Ok(Some(*wake)),
                // A host delivers it, however long that takes.
                ClaimAttempt::Nothing | ClaimAttempt::Leased => return Ok(None),
                ClaimAttempt::Elsewhere if Instant::now() >= give_up_at => return Ok(None),
                ClaimAttempt::Elsewhere => std::thread::sleep(PAUSES.0),
            }
        }
    }

    /// The wakes of a session that are [claimed](crate::Homing::claim_wake) and not confirmed, oldest first.
    pub(crate) fn claimed_wakes(&self, session: &SessionId) -> Result<Vec<Wake>> {
        self.with_ledger(|ledger| {
            let mut wakes = Vec::new();
            for id in ledger.claimed_wakes(session)? {
                wakes.extend(ledger.wake_to_send(id)?.map(|(wake, _)| wake));
            }
            Ok(wakes)
        })
    }

    /// Confirms that the agent has a [claimed](crate::Homing::claim_wake) wake. It is not delivered again.
    pub(crate) fn confirm_wake(&self, wake: &Wake) -> Result<()> {
        self.change_wakes(&[WakeChange::Moved(wake.id, WakeEvent::Confirmed)])?;
        // The active monitor stops waiting for the confirmation.
        self.notify_monitor(&wake.content.job_ids);
        Ok(())
    }

    /// Releases a claimed wake that the caller could not show. It becomes due at once.
    pub(crate) fn give_back(&self, wake: &Wake) -> Result<()> {
        self.change_wakes(&[WakeChange::Moved(wake.id, WakeEvent::NotAcknowledged)])?;
        self.notify_monitor(&wake.content.job_ids);
        Ok(())
    }

    /// Waits until it can [claim](crate::Homing::claim_wake) a wake, as long as jobs of the session run. Returns `None` if
    /// no job runs and nothing is undelivered, if `may_claim` returns false, or if another process already waits for
    /// the same session. Sleeps while nothing happens.
    pub(crate) fn wait_to_claim(
        &self,
        claimant: &Claimant,
        may_claim: impl Fn() -> bool,
    ) -> Result<Option<Wake>> {
        let (harness, session) = (claimant.harness.as_deref().unwrap_or_default(), claimant.session.as_str());
        let Some(_only) = OnlyWaiter::try_acquire(&self.store.home.root, harness, session)? else {
            return Ok(None);
        };
        let mut jobs = SessionJobs::of(self, &claimant.session);
        let mut pause = PAUSES.0;
        loop {
            jobs.update(self)?;
            if !may_claim() {
                return Ok(None);
            }
            if let ClaimAttempt::Claimed { wake, .. } = self.try_claim(claimant, &HOOK)? {
                return Ok(Some(*wake));
            }
            let is_due = self.session_state(&claimant.session)?.has_undelivered();
            match (jobs.refresh(self)?, is_due) {
                (false, _) => {}
                (true, false) if jobs.running() == 0 => return Ok(None),
                (true, false) => {
                    jobs.wait(None, None);
                    pause = PAUSES.0;
                }
                // A sink delivers it, or the session reads the result itself.
                (true, true) => {
                    jobs.wait(None, Some(pause));
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Whether an ancestor of this process has the session open, according to its harness. The harness may have
    /// switched to another session since it started this process.
    pub(crate) fn is_open_here(&self, claimant: &Claimant) -> bool {
        let process = |harness: &String| open_in(harness, claimant.session.as_str());
        claimant.harness.as_ref().and_then(process).is_some_and(process::descends_from)
    }

    /// Whether the monitor has put a wake into the queue of the harness, which shows it to the agent.
    fn is_queued(&self, claimant: &Claimant, wake: WakeId) -> Result<bool> {
        let found = self.with_ledger(|ledger| ledger.wake_to_send(wake))?;
        Ok(found.is_some_and(|(wake, _)| claimant.has_queued(&wake)))
    }

    pub(super) fn session_state(&self, session: &SessionId) -> Result<SessionState> {
        let since = self.now().saturating_sub(BUDGET_WINDOW);
        self.with_ledger(|ledger| ledger.state(session, since))
    }

    /// Claims the oldest wake that is not in flight. If there is none, creates one from undelivered follow-ups.
    pub(super) fn try_claim(&self, claimant: &Claimant, terms: &Terms) -> Result<ClaimAttempt> {
        let mut state = self.session_state(&claimant.session)?;
        // Read the clock after the state, so that entries of other processes are not in the future.
        let mut now = self.now();
        if let Some((wake, lease)) = state.expired_lease(now) {
            // Also without a monitor, an expired lease is a failed attempt.
            self.change_wakes(&[WakeChange::Moved(wake, WakeEvent::LeaseExpired(lease))])?;
            state = self.session_state(&claimant.session)?;
            now = self.now();
        }
        if let Some(wake) = state.in_flight_for(terms) {
            let is_leased = wake.progress.lease.is_some();
            // This process may run in the turn that the wake started.
            let comes_here = is_of_this_turn(wake.id) || (!is_leased && self.is_queued(claimant, wake.id)?);
            match (comes_here, &terms.means) {
                (false, _) | (true, Means::Leases { .. }) if is_leased => return Ok(ClaimAttempt::Leased),
                (false, _) | (true, Means::Leases { .. }) => return Ok(ClaimAttempt::Elsewhere),
                (true, Means::Shows) => return Ok(ClaimAttempt::Nothing),
                // The agent is reading that wake. It gets other results beside it.
                (true, Means::Prints) => {}
            }
        }
        let expired = |state, is_due| state == WakeState::HandedOff && is_due;
        let waiting = state.open.iter().filter(|wake| !wake.is_superseded).find(|wake| {
            let progress = &wake.progress;
            progress.state == WakeState::Scheduled || expired(progress.state, progress.is_due(now))
        });
        if waiting.is_some_and(|wake| !terms.may_claim(wake, now)) {
            return Ok(ClaimAttempt::Nothing);
        }
        let (wake, mut changes) = match waiting {
            Some(wake) => {
                let found = self.with_ledger(|ledger| ledger.wake_to_send(wake.id))?;
                let Some((found, _)) = found.filter(|(wake, _)| terms.fits(wake)) else {
                    return Ok(ClaimAttempt::Nothing);
                };
                if claimant.has_queued(&found) {
                    return Ok(ClaimAttempt::Nothing);
                }
                let expiry = WakeChange::Moved(wake.id, WakeEvent::NotAcknowledged);
                (found, Vec::from_iter((wake.progress.state == WakeState::HandedOff).then_some(expiry)))
            }
            None => {
                let new = self.write_undelivered(claimant, &state, terms)?;
                let Some(new) = new.filter(|new| terms.fits(&new.wake)) else {
                    return Ok(ClaimAttempt::Nothing);
                };
                (new.wake.clone(), vec![WakeChange::Queued(Box::new(new))])
            }
        };
        // A lease begins now: writing the wake has taken time.
        let claim = self.claim_by(&terms.means)?;
        let lease = if let WakeEvent::Leased(lease) = &claim { Some(lease.clone()) } else { None };
        changes.push(WakeChange::Moved(wake.id, claim));
        // In one transaction. If another process was faster, nothing changes: a wake that was not created is not
        // found.
        let is_claimed = self.change_wakes(&changes)?.into_iter().all(|made| made);
        if !is_claimed {
            return Ok(ClaimAttempt::Elsewhere);
        }
        // The active monitor must learn the deadline of the confirmation, or the end of the lease.
        self.notify_monitor(&wake.content.job_ids);
        Ok(ClaimAttempt::Claimed { wake: Box::new(wake), lease })
    }

    fn claim_by(&self, means: &Means) -> Result<WakeEvent> {
        let acknowledge_within = CONFIRM_WITHIN;
        Ok(match means {
            Means::Shows => WakeEvent::Claimed { acknowledge_within },
            Means::Prints => WakeEvent::Printed { acknowledge_within },
            Means::Leases { holder, lasts } => {
                let now = self.now();
                let id = LeaseId::new(now, random::bytes().map_err(DiskError::no_random_bytes)?);
                WakeEvent::Leased(Lease {
                    id,
                    holder: holder.clone(),
                    expires_at: now.saturating_add(*lasts),
                })
            }
        })
    }

    /// Creates a wake from undelivered follow-ups. Returns `None` if there are none, or if they must wait.
    fn write_undelivered(
        &self,
        claimant: &Claimant,
        state: &SessionState,
        terms: &Terms,
    ) -> Result<Option<NewWake>> {
        if state.undelivered.is_empty() || self.budget_frees_at(state).is_some() {
            return Ok(None);
        }
        let mut jobs = oldest_of(&state.undelivered);
        jobs.retain(|job| !self.is_being_read(*job));
        let (sink, mut style) = self.sink_of(claimant, &state.undelivered);
        if terms.means == Means::Prints {
            // The agent reads it as the output of a command.
            style.format = WakeFormat::Plain;
        }
        self.write_wake(&claimant.session, sink.as_deref(), style, &jobs)
    }

    /// When the session may get its next wake; `None` if now.
    pub(super) fn budget_frees_at(&self, state: &SessionState) -> Option<Timestamp> {
        budget_frees_at(&state.made_at, self.config().monitor.wakes_per_hour, self.now())
    }

    /// The sink that delivers the wake again if this claim does not, and the style of the wake.
    fn sink_of(&self, claimant: &Claimant, undelivered: &[Undelivered]) -> (Option<String>, WakeStyle) {
        let routed = undelivered.iter().find_map(|Undelivered { route, .. }| {
            let harness = route.harness.as_deref().or(claimant.harness.as_deref());
            let addressee = Addressee { session: &claimant.session, harness, sink: route.sink.as_deref() };
            sink_of(self.config(), addressee)
        });
        let name = routed.or_else(|| claimant.harness.clone());
        let sink = name.as_ref().and_then(|name| self.config().sink(name));
        let format = sink.as_ref().map(|sink| sink.format);
        let format = format.or_else(|| claimant.harness.as_deref().and_then(preset_format));
        let needs_acknowledgement = sink.is_some_and(|sink| sink.acknowledge == Acknowledge::Explicit);
        (name, WakeStyle { format: format.unwrap_or_default(), needs_acknowledgement })
    }

    fn change_wakes(&self, changes: &[WakeChange]) -> Result<Vec<bool>> {
        let policy = self.config().monitor.retry_policy();
        let context = ChangeContext { policy: &policy, now: self.now(), jitter: 0.5 };
        self.with_ledger(|ledger| ledger.change_wakes(changes, &context))
    }

    pub(super) fn notify_monitor(&self, jobs: &[JobId]) {
        // If this fails, the monitor finds the change at its next check.
        if let Some(job) = jobs.first() {
            let _ = notify_change(&self.store.home.inbox, *job);
        }
    }
}

/// What a caller does with the wake that it claims, and how long it may be.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) means: Means,
    /// The longest text that the caller accepts, in characters. A longer one stays due.
    pub(super) room: usize,
}

/// How a caller delivers the wake that it claims.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// A hook shows it to the agent, and confirms that the agent has it.
    Shows,
    /// A process prints it. Only the agent acknowledges it.
    Prints,
    /// A host delivers it, and answers before its lease expires.
    Leases { holder: String, lasts: Duration },
}

/// The terms of a hook.
const HOOK: Terms = Terms { means: Means::Shows, room: usize::MAX };

impl Terms {
    fn fits(&self, wake: &Wake) -> bool {
        wake.content.text.chars().count() <= self.room
    }

    /// Whether a wake that is not in flight may be claimed now. Hooks and listeners are in the session, so they do not wait
    /// for the next attempt. A host waits for it: the wake may have failed at that host.
    fn may_claim(&self, wake: &OpenWake, now: Timestamp) -> bool {
        match self.means {
            Means::Shows | Means::Prints => true,
            Means::Leases { .. } => wake.progress.is_due(now),
        }
    }
}

/// The result of an attempt to claim a wake.
pub(super) enum ClaimAttempt {
    Claimed {
        wake: Box<Wake>,
        /// The lease of a host.
        lease: Option<Lease>,
    },
    Nothing,
    /// A host has leased the wake.
    Leased,
    /// A sink or another caller has the wake.
    Elsewhere,
}

/// Whether this process runs in the turn that this wake started.
pub(super) fn is_of_this_turn(wake: WakeId) -> bool {
    std::env::var(WAKE_VARIABLE).is_ok_and(|own| own == wake.to_string())
}

impl SessionState {
    /// A wake whose lease has expired, and the lease.
    fn expired_lease(&self, now: Timestamp) -> Option<(WakeId, LeaseId)> {
        self.open.iter().find_map(|wake| Some((wake.id, wake.progress.expired_lease(now)?.id)))
    }

    /// The wake in flight that is in the way of a caller with these terms. A host waits also for a superseded one: a session
    /// has one turn at a time.
    fn in_flight_for(&self, terms: &Terms) -> Option<&OpenWake> {
        let leases = matches!(terms.means, Means::Leases { .. });
        let mut in_flight = self.open.iter().filter(|wake| wake.progress.state == WakeState::InFlight);
        in_flight.find(|wake| leases || !wake.is_superseded)
    }

    /// Whether anything is undelivered and not claimed.
    pub(super) fn has_undelivered(&self) -> bool {
        let waits = |state| matches!(state, WakeState::Scheduled | WakeState::InFlight);
        !self.undelivered.is_empty()
            || self.open.iter().any(|wake| !wake.is_superseded && waits(wake.progress.state))
    }
}
