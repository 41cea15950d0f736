//! SessionState a session from inside: a hook of its harness takes what the session is to be told, shows it, and confirms it
//! once the agent is known to have it. The monitor and any number of hooks may want the same: one of them has it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use homing_core::{BUDGET_WINDOW, JobId, SessionId, Wake, WakeEvent, WakeId, WakeState, budget_frees_at};
use homing_supervisor::layout::{Directory, notify_change};
use homing_supervisor::platform::procfs;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::Result;
use crate::config::Acknowledge;
use crate::delivery::monitor::WakeStyle;
use crate::delivery::routes::{Addressee, sink_of};
use crate::harness::WAKE_VARIABLE;
use crate::harness::{open_in, preset_format};
use crate::homing::Homing;
use crate::ledger::{ChangeContext, NewWake, SessionState, Undelivered, WakeChange, oldest_of};
use crate::store::watcher::Watcher;

/// How long what was taken may stay unconfirmed before it is told again.
const CONFIRM_WITHIN: Duration = Duration::from_secs(900);

/// How long a sink is waited for that is at work.
const SINK_TIMEOUT: Duration = Duration::from_secs(2);

/// When what cannot be taken just now is looked at again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Whoever shows a session what it is to be told: a hook of the harness that the session is open in.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The session. It gets what is its own, and nothing else.
    pub session: SessionId,
    /// The harness, by the name of its preset.
    pub harness: String,
}

impl Homing {
    /// Takes the next wake of a session out of everybody else's hands, for whoever shows it to the agent now. `None` where
    /// there is nothing to tell, where a sink is state it, and where the session has had all its wakes of the hour. A sink
    /// that has just begun is waited for, up to 2 seconds: most find out by then that the session is open here.
    ///
    /// What was taken is handed off. [Confirm](Homing::confirm_wake) it once the agent is known to have it; otherwise it is
    /// told again after 15 minutes, by a hook or by the monitor. Costs one look at the ledger where there is nothing.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?.session("chat-1".parse()?))?;
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// let claimant = homing::Claimant { session: "chat-1".parse()?, harness: "codex".to_owned() };
    /// let wake = homing.claim_wake(&claimant)?.expect("a job is over");
    /// assert!(homing.claim_wake(&claimant)?.is_none());
    /// println!("{}", wake.content.text);
    /// homing.confirm_wake(&wake)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home or the ledger cannot be used.
    pub fn claim_wake(&self, claimant: &Claimant) -> Result<Option<Wake>> {
        self.sync()?;
        let give_up_at = Instant::now() + SINK_TIMEOUT;
        loop {
            match self.take(claimant)? {
                Try::Claimed(wake) => return Ok(Some(*wake)),
                Try::Nothing => return Ok(None),
                Try::Elsewhere if Instant::now() >= give_up_at => return Ok(None),
                Try::Elsewhere => std::thread::sleep(PAUSES.0),
            }
        }
    }

    /// The wakes that were [taken](Homing::claim_wake) for a session and not confirmed, the oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn claimed_wakes(&self, session: &SessionId) -> Result<Vec<Wake>> {
        self.with_ledger(|ledger| {
            let mut wakes = Vec::new();
            for id in ledger.claimed_wakes(session)? {
                wakes.extend(ledger.wake_to_send(id)?.map(|(wake, _)| wake));
            }
            Ok(wakes)
        })
    }

    /// Notes that the agent has what was [taken](Homing::claim_wake) for it: it is not told again.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn confirm_wake(&self, wake: &Wake) -> Result<()> {
        self.change_wakes(&[WakeChange::Moved(wake.id, WakeEvent::Confirmed)])?;
        // An active monitor need not wait for that any more.
        self.ring_for(&wake.content.job_ids);
        Ok(())
    }

    /// Gives back what was taken and could not be shown: it is told again, at once where somebody can.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn give_back(&self, wake: &Wake) -> Result<()> {
        self.change_wakes(&[WakeChange::Moved(wake.id, WakeEvent::NotAcknowledged)])?;
        self.ring_for(&wake.content.job_ids);
        Ok(())
    }

    /// Waits until there is something to [take](Homing::claim_wake), for as long as jobs of the session run. `None` where
    /// nothing is left to wait for, where `may_claim` says that this is not the time any more, and where somebody else
    /// waits for the same session already. Does not wake up while nothing happens.
    ///
    /// # Errors
    /// As [`Homing::claim_wake`].
    pub fn wait_to_claim(&self, claimant: &Claimant, may_claim: impl Fn() -> bool) -> Result<Option<Wake>> {
        let Some(_only) = OnlyWaiter::try_be(&self.home.root, claimant)? else { return Ok(None) };
        let mut reserved = self.reserve(&[], &claimant.session);
        let watcher = Watcher::new(&self.home, &[]);
        watcher.add_inbox(&self.home);
        let mut pause = PAUSES.0;
        loop {
            // Before looking: what has been reported so far is about what is looked at now.
            watcher.changed();
            self.sync()?;
            let running = self.running_jobs(claimant)?;
            // The monitor leaves to us what ends while we wait.
            let new: Vec<JobId> = running.iter().filter(|job| !reserved.holds(**job)).copied().collect();
            reserved.add(self.reserve(&new, &claimant.session));
            running
                .iter()
                .filter(|job| !watcher.watches(**job))
                .for_each(|job| watcher.add_if_possible(*job));
            // What ended before it was watched is seen now.
            self.sync()?;
            if !may_claim() {
                return Ok(None);
            }
            if let Try::Claimed(wake) = self.take(claimant)? {
                return Ok(Some(*wake));
            }
            let is_due = self.state(claimant)?.has_undelivered();
            let still_running = self.running_jobs(claimant)?;
            for over in running.iter().filter(|job| !still_running.contains(job)) {
                watcher.remove(*over);
            }
            match (still_running == running, is_due) {
                (false, _) => {}
                (true, false) if running.is_empty() => return Ok(None),
                (true, false) => {
                    watcher.wait(None);
                    pause = PAUSES.0;
                }
                // A sink is state it, or the session reads it itself.
                (true, true) => {
                    watcher.wait(Some(pause));
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Whether the session is open in a process of its harness from which this process descends, by what the harness
    /// itself says. It may have moved on to another session since it started us.
    pub fn is_open_here(&self, claimant: &Claimant) -> bool {
        open_in(&claimant.harness, claimant.session.as_str()).is_some_and(procfs::descends_from)
    }

    fn running_jobs(&self, claimant: &Claimant) -> Result<Vec<JobId>> {
        self.with_ledger(|ledger| ledger.unfinished_of(&claimant.session))
    }

    fn state(&self, claimant: &Claimant) -> Result<SessionState> {
        let since = self.now().saturating_sub(BUDGET_WINDOW);
        self.with_ledger(|ledger| ledger.state(&claimant.session, since))
    }

    /// Takes the oldest wake that no sink has; where there is none, a new one of what no wake carries.
    fn take(&self, claimant: &Claimant) -> Result<Try> {
        let state = self.state(claimant)?;
        let still_needed = || state.open.iter().filter(|wake| !wake.is_superseded);
        let now = self.now();
        if let Some(wake) = still_needed().find(|wake| wake.progress.state == WakeState::InFlight) {
            // What runs now may be the very turn in which the session is told.
            let is_this_turn = std::env::var(WAKE_VARIABLE).is_ok_and(|ours| ours == wake.id.to_string());
            return Ok(if is_this_turn { Try::Nothing } else { Try::Elsewhere });
        }
        let expired = |state, is_due| state == WakeState::HandedOff && is_due;
        let waiting = still_needed().find(|wake| {
            let progress = &wake.progress;
            progress.state == WakeState::Scheduled || expired(progress.state, progress.is_due(now))
        });
        let (wake, changes) = match waiting {
            Some(wake) => {
                let found = self.with_ledger(|ledger| ledger.wake_to_send(wake.id))?;
                let Some((found, _)) = found else { return Ok(Try::Nothing) };
                let expiry = WakeChange::Moved(wake.id, WakeEvent::NotAcknowledged);
                let expiry = (wake.progress.state == WakeState::HandedOff).then_some(expiry);
                (found, expiry.into_iter().chain([claimed(wake.id)]).collect())
            }
            None => {
                let Some(new) = self.write_undelivered(claimant, &state)? else { return Ok(Try::Nothing) };
                let (wake, id) = (new.wake.clone(), new.wake.id);
                (wake, vec![WakeChange::Queued(Box::new(new)), claimed(id)])
            }
        };
        // In one transaction. What somebody else was quicker with changes nothing: a wake that was not made is not found.
        let is_ours = self.change_wakes(&changes)?.into_iter().all(|made| made);
        if !is_ours {
            return Ok(Try::Elsewhere);
        }
        // An active monitor has to know until when it is to be confirmed.
        self.ring_for(&wake.content.job_ids);
        Ok(Try::Claimed(Box::new(wake)))
    }

    /// Writes the wake that tells of what no wake carries yet; `None` where there is nothing, or it has to wait.
    fn write_undelivered(&self, claimant: &Claimant, state: &SessionState) -> Result<Option<NewWake>> {
        let is_over_budget =
            || budget_frees_at(&state.made_at, self.config.monitor.wakes_per_hour, self.now()).is_some();
        if state.undelivered.is_empty() || is_over_budget() {
            return Ok(None);
        }
        let mut jobs = oldest_of(&state.undelivered);
        jobs.retain(|job| !self.is_being_read(*job));
        let (sink, style) = self.sink_of(claimant, &state.undelivered);
        self.write_wake(&claimant.session, &sink, style, &jobs)
    }

    /// Which sink tells it again where it is never confirmed, and how it is written.
    fn sink_of(&self, claimant: &Claimant, undelivered: &[Undelivered]) -> (String, WakeStyle) {
        let routed = undelivered.iter().find_map(|Undelivered { route, .. }| {
            let harness = route.harness.as_deref().or(Some(&claimant.harness));
            let addressee = Addressee { session: &claimant.session, harness, sink: route.sink.as_deref() };
            sink_of(&self.config, addressee)
        });
        let name = routed.unwrap_or_else(|| claimant.harness.clone());
        let sink = self.config.sink(&name);
        let format = sink.as_ref().map(|sink| sink.format).or_else(|| preset_format(&claimant.harness));
        let needs_acknowledgement = sink.is_some_and(|sink| sink.acknowledge == Acknowledge::Explicit);
        (name, WakeStyle { format: format.unwrap_or_default(), needs_acknowledgement })
    }

    fn change_wakes(&self, changes: &[WakeChange]) -> Result<Vec<bool>> {
        let policy = self.config.monitor.retry_policy();
        let context = ChangeContext { policy: &policy, now: self.now(), jitter: 0.5 };
        self.with_ledger(|ledger| ledger.change_wakes(changes, &context))
    }

    fn ring_for(&self, jobs: &[JobId]) {
        // Where the bell cannot ring, the monitor finds out when it looks next.
        if let Some(job) = jobs.first() {
            let _ = notify_change(&self.home.inbox, *job);
        }
    }
}

/// What came of an attempt to take a wake.
enum Try {
    Claimed(Box<Wake>),
    Nothing,
    /// Somebody else has what there is.
    Elsewhere,
}

fn claimed(wake: WakeId) -> WakeChange {
    WakeChange::Moved(wake, WakeEvent::Claimed { acknowledge_within: CONFIRM_WITHIN })
}

impl SessionState {
    /// Whether something is to be told that was not taken.
    fn has_undelivered(&self) -> bool {
        let waits = |state| matches!(state, WakeState::Scheduled | WakeState::InFlight);
        !self.undelivered.is_empty()
            || self.open.iter().any(|wake| !wake.is_superseded && waits(wake.progress.state))
    }
}

/// The right to wait for a session: one process has it, so that turns of a long session do not leave one waiter each.
#[derive(Debug)]
struct OnlyWaiter<'a> {
    home: &'a Directory,
    name: String,
    lock: OwnedFd,
}

impl<'a> OnlyWaiter<'a> {
    fn try_be(home: &'a Directory, claimant: &Claimant) -> Result<Option<OnlyWaiter<'a>>> {
        let session = claimant.session.as_str();
        let mut hasher = DefaultHasher::new();
        // Where the session has moved to another process of its harness, the waiter of the old one may not know yet.
        (session, open_in(&claimant.harness, session)).hash(&mut hasher);
        let name = format!("waiting-{:016x}.lock", hasher.finish());
        let lock = home.open_or_create(&name)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(OnlyWaiter { home, name, lock })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(home.error("lock", &name, error).into()),
        }
    }
}

impl Drop for OnlyWaiter<'_> {
    fn drop(&mut self) {
        // While it is ours. Whoever opened it before waits beside the next one, which does no harm.
        let _ = self.home.remove_file(&self.name);
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}
