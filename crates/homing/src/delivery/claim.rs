//! Delivers wakes from inside a session: a hook of its harness claims a wake, shows it to the agent, and confirms it.
//! The monitor and any number of hooks may compete for the same wake. Only one of them gets it.

use std::time::{Duration, Instant};

use homing_core::text::WakeFormat;
use homing_core::{
    BUDGET_WINDOW, JobId, SessionId, Timestamp, Wake, WakeEvent, WakeId, WakeState, budget_frees_at,
};
use homing_supervisor::layout::notify_change;
use homing_supervisor::platform::process;

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
const CONFIRM_WITHIN: Duration = Duration::from_secs(900);

/// How long a claim waits for a delivery in flight.
const SINK_TIMEOUT: Duration = Duration::from_secs(2);

/// The first and the longest pause between two attempts to claim.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A caller that delivers wakes to a session itself: a hook of the harness in which the session is open.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The session. It receives only its own wakes.
    pub session: SessionId,
    /// The name of the harness's preset.
    pub harness: String,
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
            match self.try_claim(claimant, HOOK)? {
                ClaimAttempt::Claimed(wake) => return Ok(Some(*wake)),
                ClaimAttempt::Nothing => return Ok(None),
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
        let (harness, session) = (&claimant.harness, claimant.session.as_str());
        let Some(_only) = OnlyWaiter::try_acquire(&self.store.home.root, harness, session)? else {
            return Ok(None);
        };
        let mut jobs = SessionJobs::of(self, &claimant.session);
        let mut pause = PAUSES.0;
        loop {
            jobs.update()?;
            if !may_claim() {
                return Ok(None);
            }
            if let ClaimAttempt::Claimed(wake) = self.try_claim(claimant, HOOK)? {
                return Ok(Some(*wake));
            }
            let is_due = self.session_state(&claimant.session)?.has_undelivered();
            match (jobs.refresh()?, is_due) {
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
        open_in(&claimant.harness, claimant.session.as_str()).is_some_and(process::descends_from)
    }

    /// Whether the monitor has put a wake into the queue of the harness, which shows it to the agent.
    fn is_queued(&self, claimant: &Claimant, wake: WakeId) -> Result<bool> {
        let found = self.with_ledger(|ledger| ledger.wake_to_send(wake))?;
        Ok(found.is_some_and(|(wake, _)| has_queued(&claimant.harness, claimant.session.as_str(), &wake)))
    }

    pub(super) fn session_state(&self, session: &SessionId) -> Result<SessionState> {
        let since = self.now().saturating_sub(BUDGET_WINDOW);
        self.with_ledger(|ledger| ledger.state(session, since))
    }

    /// Claims the oldest wake that is not in flight. If there is none, creates one from undelivered follow-ups.
    pub(super) fn try_claim(&self, claimant: &Claimant, terms: Terms) -> Result<ClaimAttempt> {
        let state = self.session_state(&claimant.session)?;
        let still_needed = || state.open.iter().filter(|wake| !wake.is_superseded);
        let now = self.now();
        if let Some(wake) = still_needed().find(|wake| wake.progress.state == WakeState::InFlight) {
            // This process may run in the turn that the wake started.
            let comes_here = is_of_this_turn(wake.id) || self.is_queued(claimant, wake.id)?;
            match (comes_here, terms.prints) {
                (false, _) => return Ok(ClaimAttempt::Elsewhere),
                (true, false) => return Ok(ClaimAttempt::Nothing),
                // The agent is reading that wake. It gets other results beside it.
                (true, true) => {}
            }
        }
        let expired = |state, is_due| state == WakeState::HandedOff && is_due;
        let waiting = still_needed().find(|wake| {
            let progress = &wake.progress;
            progress.state == WakeState::Scheduled || expired(progress.state, progress.is_due(now))
        });
        let (wake, changes) = match waiting {
            Some(wake) => {
                let found = self.with_ledger(|ledger| ledger.wake_to_send(wake.id))?;
                let Some((found, _)) = found.filter(|(wake, _)| terms.fits(wake)) else {
                    return Ok(ClaimAttempt::Nothing);
                };
                if has_queued(&claimant.harness, claimant.session.as_str(), &found) {
                    return Ok(ClaimAttempt::Nothing);
                }
                let expiry = WakeChange::Moved(wake.id, WakeEvent::NotAcknowledged);
                let expiry = (wake.progress.state == WakeState::HandedOff).then_some(expiry);
                (found, expiry.into_iter().chain([terms.claim(wake.id)]).collect())
            }
            None => {
                let new = self.write_undelivered(claimant, &state, terms)?;
                let Some(new) = new.filter(|new| terms.fits(&new.wake)) else {
                    return Ok(ClaimAttempt::Nothing);
                };
                let (wake, id) = (new.wake.clone(), new.wake.id);
                (wake, vec![WakeChange::Queued(Box::new(new)), terms.claim(id)])
            }
        };
        // In one transaction. If another process was faster, nothing changes: a wake that was not created is not
        // found.
        let is_claimed = self.change_wakes(&changes)?.into_iter().all(|made| made);
        if !is_claimed {
            return Ok(ClaimAttempt::Elsewhere);
        }
        // The active monitor must learn the deadline of the confirmation.
        self.notify_monitor(&wake.content.job_ids);
        Ok(ClaimAttempt::Claimed(Box::new(wake)))
    }

    /// Creates a wake from undelivered follow-ups. Returns `None` if there are none, or if they must wait.
    fn write_undelivered(
        &self,
        claimant: &Claimant,
        state: &SessionState,
        terms: Terms,
    ) -> Result<Option<NewWake>> {
        if state.undelivered.is_empty() || self.budget_frees_at(state).is_some() {
            return Ok(None);
        }
        let mut jobs = oldest_of(&state.undelivered);
        jobs.retain(|job| !self.is_being_read(*job));
        let (sink, mut style) = self.sink_of(claimant, &state.undelivered);
        if terms.prints {
            // The agent reads it as the output of a command.
            style.format = WakeFormat::Plain;
        }
        self.write_wake(&claimant.session, &sink, style, &jobs)
    }

    /// When the session may get its next wake; `None` if now.
    pub(super) fn budget_frees_at(&self, state: &SessionState) -> Option<Timestamp> {
        budget_frees_at(&state.made_at, self.config().monitor.wakes_per_hour, self.now())
    }

    /// The sink that delivers the wake again if it is never confirmed, and the style of the wake.
    fn sink_of(&self, claimant: &Claimant, undelivered: &[Undelivered]) -> (String, WakeStyle) {
        let routed = undelivered.iter().find_map(|Undelivered { route, .. }| {
            let harness = route.harness.as_deref().or(Some(&claimant.harness));
            let addressee = Addressee { session: &claimant.session, harness, sink: route.sink.as_deref() };
            sink_of(self.config(), addressee)
        });
        let name = routed.unwrap_or_else(|| claimant.harness.clone());
        let sink = self.config().sink(&name);
        let format = sink.as_ref().map(|sink| sink.format).or_else(|| preset_format(&claimant.harness));
        let needs_acknowledgement = sink.is_some_and(|sink| sink.acknowledge == Acknowledge::Explicit);
        (name, WakeStyle { format: format.unwrap_or_default(), needs_acknowledgement })
    }

    fn change_wakes(&self, changes: &[WakeChange]) -> Result<Vec<bool>> {
        let policy = self.config().monitor.retry_policy();
        let context = ChangeContext { policy: &policy, now: self.now(), jitter: 0.5 };
        self.with_ledger(|ledger| ledger.change_wakes(changes, &context))
    }

    fn notify_monitor(&self, jobs: &[JobId]) {
        // If this fails, the monitor finds the change at its next check.
        if let Some(job) = jobs.first() {
            let _ = notify_change(&self.store.home.inbox, *job);
        }
    }
}

/// What a caller does with the wake that it claims, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Whether a process prints it, so that only the agent acknowledges it. Otherwise a hook confirms it.
    pub(super) prints: bool,
    /// The longest text that the caller accepts, in characters. A longer one stays due.
    pub(super) room: usize,
}

/// The terms of a hook.
const HOOK: Terms = Terms { prints: false, room: usize::MAX };

impl Terms {
    fn fits(self, wake: &Wake) -> bool {
        wake.content.text.chars().count() <= self.room
    }

    fn claim(self, wake: WakeId) -> WakeChange {
        let acknowledge_within = CONFIRM_WITHIN;
        WakeChange::Moved(
            wake,
            match self.prints {
                true => WakeEvent::Printed { acknowledge_within },
                false => WakeEvent::Claimed { acknowledge_within },
            },
        )
    }
}

/// The result of an attempt to claim a wake.
pub(super) enum ClaimAttempt {
    Claimed(Box<Wake>),
    Nothing,
    /// A sink or another hook has the wake.
    Elsewhere,
}

/// Whether this process runs in the turn that this wake started.
pub(super) fn is_of_this_turn(wake: WakeId) -> bool {
    std::env::var(WAKE_VARIABLE).is_ok_and(|own| own == wake.to_string())
}

impl SessionState {
    /// Whether anything is undelivered and not claimed.
    pub(super) fn has_undelivered(&self) -> bool {
        let waits = |state| matches!(state, WakeState::Scheduled | WakeState::InFlight);
        !self.undelivered.is_empty()
            || self.open.iter().any(|wake| !wake.is_superseded && waits(wake.progress.state))
    }
}
