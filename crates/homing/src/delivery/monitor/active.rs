//! The life of the active monitor: it hears what changes, brings the ledger up to date, and gives wakes to sinks.

use std::collections::{HashMap, HashSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use homing_core::{JobId, SessionId, WakeEvent, WakeId};
use homing_supervisor::{DiskError, crash_point};

use super::events::MonitorEvent;
use super::handle::Monitor;
use super::home_watcher::HomeWatcher;
use super::lock::MonitorLock;
use super::mailbox::Message;
use super::options::{MonitorEnd, MonitorUntil, STOP_TIMEOUT};
use super::settings::Settings;
use super::slots::{SessionQueue, Slots};
use super::timers::Timers;
use super::unread_job::Unreadable;
use crate::homing::Homing;
use crate::index::prune::PrunePass;
use crate::ledger::{ChangeContext, WakeChange};
use crate::process::wait_for_stale_processes;
use crate::store::random::random_bytes;
use crate::{Error, Result};

/// How often the whole home is looked after: what is old goes, and what no bell told of is found.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(3_600);

/// What is said where the kernel has no more watches to give.
pub(super) const NO_WATCHES: &str =
    "no inotify watches left (fs.inotify.max_user_watches); polling twice a second";

/// How often the home is looked at where the kernel has no more watches to give.
const FALLBACK_PAUSE: Duration = Duration::from_millis(500);

/// How long the monitor waits before it looks again at jobs that it could not take in.
pub(super) const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// How long it waits after something went wrong that concerns everything; it doubles while that goes on.
const FIRST_ERROR_PAUSE: Duration = Duration::from_millis(250);

/// How long it waits at most, where it goes wrong again and again.
const MAX_ERROR_PAUSE: Duration = Duration::from_secs(60);

/// How often a monitor that delivers what is due now tries again before it gives up.
const MAX_ERRORS: u32 = 5;

/// A monitor that holds the lock.
pub(super) struct Active<'m> {
    pub(super) monitor: &'m Monitor,
    pub(super) homing: &'m Homing,
    pub(super) lock: Option<MonitorLock>,
    pub(super) settings: Settings,
    /// `None` where the kernel has no more watches to give.
    pub(super) watcher: Option<HomeWatcher>,
    /// Sessions that are to be looked at, in their order.
    pub(super) ready: SessionQueue,
    /// When sessions are to be looked at again.
    pub(super) sessions: Timers<SessionId>,
    /// When jobs that are not over are to be looked at again, whether a bell rings or not.
    pub(super) jobs: Timers<JobId>,
    /// When the limits of running jobs have to be kept, where their supervisors do not.
    pub(super) limits: Timers<JobId>,
    /// Jobs whose limit is over, and how long the last pause was before looking at them again.
    pub(super) overdue: HashMap<JobId, Duration>,
    /// Jobs that could not be read when they were last looked at.
    pub(super) unreadable: HashMap<JobId, Unreadable>,
    /// Everything is to be looked at, because the kernel could not keep what it had to tell, or because that failed before.
    pub(super) everything_is_due: bool,
    pub(super) housekeeping_at: Instant,
    /// Retention that is under way.
    pub(super) pruning: Option<PrunePass>,
    pub(super) heartbeat_at: Option<Instant>,
    /// The deliveries that are under way.
    pub(super) slots: Slots,
    /// Answers that are not in the ledger yet.
    pub(super) answers: Vec<WakeChange>,
    /// What is told of them once they are.
    pub(super) answered: Vec<MonitorEvent>,
    /// Sessions that said they are free. A busy answer that was given before may come after that.
    pub(super) freed: HashSet<SessionId>,
    /// It is to stop, at the latest then.
    pub(super) stop_at: Option<Instant>,
}

impl<'m> Active<'m> {
    /// A monitor that has not looked at anything yet.
    pub(super) fn new(monitor: &'m Monitor, lock: MonitorLock, freed: HashSet<SessionId>) -> Active<'m> {
        let homing = &*monitor.homing;
        Active {
            monitor,
            homing,
            lock: Some(lock),
            settings: monitor.settings.clone(),
            // Watch before looking: what happens in between is not missed.
            watcher: HomeWatcher::of(&homing.home, homing.users_config().as_deref()).ok(),
            ready: SessionQueue::default(),
            sessions: Timers::default(),
            jobs: Timers::default(),
            limits: Timers::default(),
            overdue: HashMap::new(),
            unreadable: HashMap::new(),
            everything_is_due: true,
            housekeeping_at: Instant::now() + MAINTENANCE_INTERVAL,
            pruning: None,
            heartbeat_at: None,
            slots: Slots::default(),
            answers: Vec::new(),
            answered: Vec::new(),
            freed,
            stop_at: None,
        }
    }

    /// Works until there is a reason to end.
    pub(super) fn run(mut self) -> Result<MonitorEnd> {
        if self.watcher.is_none() {
            self.warn(NO_WATCHES);
        }
        let mut errors = 0;
        // Everything that is due is found first.
        while let Err(error) = self.begin() {
            // Where somebody waits for an answer, an error at the start is one.
            if self.monitor.options.until != MonitorUntil::Idle {
                return Err(error);
            }
            errors += 1;
            self.pause_after(error, errors)?;
            if self.stop_at.is_some() {
                return Ok(MonitorEnd::Stopped);
            }
        }
        self.report(&MonitorEvent::Active);
        errors = 0;
        loop {
            match self.work().and_then(|()| self.reason_to_end()) {
                Ok(Some(end)) => return Ok(end),
                Ok(None) => {
                    errors = 0;
                    if self.ready.is_empty() || self.available_slots() == 0 {
                        self.wait();
                    }
                }
                Err(error) => {
                    errors += 1;
                    self.pause_after(error, errors)?;
                    if let Some(end) = self.requested_end() {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// Finds everything that is due in the home. May be repeated.
    fn begin(&mut self) -> Result<()> {
        self.read_mail();
        let mut report = self.homing.full_scan()?;
        self.recover(&mut report)?;
        self.retry_unreadable(report.unreadable);
        self.watch_unfinished()?;
        self.resume_in_flight()?;
        self.queue_all_sessions()?;
        self.everything_is_due = false;
        self.begin_pruning_if_due()
    }

    /// Says what went wrong, and waits before it is tried again: longer each time. What is due stays due meanwhile.
    ///
    /// # Errors
    /// The same error where trying again does not help, or where somebody waits for an answer.
    fn pause_after(&mut self, error: Error, errors: u32) -> Result<()> {
        let is_final = match &error {
            Error::LedgerTooNew { .. } | Error::HomeRefused { .. } | Error::HomeReplaced { .. } => true,
            _ => errors >= MAX_ERRORS && self.monitor.options.until == MonitorUntil::NothingDue,
        };
        if is_final {
            return Err(error);
        }
        self.warn(&error.to_string());
        let pause = FIRST_ERROR_PAUSE * 2u32.saturating_pow((errors - 1).min(8));
        self.monitor.wait(&[], Some(pause.min(MAX_ERROR_PAUSE)));
        // A message ends the wait, and is taken here: none may be left that would end every wait to come.
        self.read_mail();
        Ok(())
    }

    /// Does everything that can be done now.
    fn work(&mut self) -> Result<()> {
        self.read_mail();
        self.record_answers()?;
        self.retry_freed_sessions()?;
        self.keep_limits()?;
        self.ingest_changes()?;
        self.run_maintenance()?;
        for session in self.sessions.take_due(Instant::now()) {
            self.queue_session(session);
        }
        self.wake_sessions()?;
        self.prune_some()
    }

    fn read_mail(&mut self) {
        for message in self.monitor.mailbox.take() {
            match message {
                Message::Answered { wake, session, delivery, acknowledge_within, took } => {
                    crash_point("monitor/answered");
                    self.answered.push(MonitorEvent::Answered {
                        wake,
                        session: session.clone(),
                        delivery: delivery.clone(),
                        took,
                    });
                    let event = WakeEvent::Answered { delivery, acknowledge_within };
                    self.on_answer(wake, session, event);
                }
                Message::AnswerLost { wake, session } => self.on_answer(wake, session, WakeEvent::AnswerLost),
                Message::SessionFree(session) => drop(self.freed.insert(session)),
                Message::Stop => {
                    let patience = self.monitor.options.stop_timeout.unwrap_or(STOP_TIMEOUT);
                    let patience = if self.stop_at.is_some() { Duration::ZERO } else { patience };
                    self.stop_at = Some(Instant::now() + patience);
                    self.report(&MonitorEvent::Stopping { in_flight: self.slots.len() });
                }
                // It is held already; a second one is let go of.
                Message::Locked(_) => {}
            }
        }
    }

    pub(super) fn on_answer(&mut self, wake: WakeId, session: SessionId, event: WakeEvent) {
        self.slots.end(wake);
        self.answers.push(WakeChange::Moved(wake, event));
        self.queue_session(session);
    }

    /// Writes down what sinks have answered. What cannot be written now is kept for the next time.
    fn record_answers(&mut self) -> Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        self.change(&self.answers)?;
        self.answers.clear();
        crash_point("monitor/superseded");
        self.answered.drain(..).for_each(|event| self.monitor.options.report(&event));
        Ok(())
    }

    pub(super) fn change(&self, changes: &[WakeChange]) -> Result<Vec<bool>> {
        let context =
            ChangeContext { policy: &self.settings.policy, now: self.homing.now(), jitter: jitter() };
        self.homing.with_ledger(|ledger| ledger.change_wakes(changes, &context))
    }

    /// Now and then everything is looked at, whether a bell rang or not.
    fn run_maintenance(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.heartbeat_at.is_none_or(|due| due <= now) {
            self.heartbeat_at = self.monitor.options.heartbeat.map(|every| now + every);
            self.report(&MonitorEvent::Alive);
        }
        if now < self.housekeeping_at {
            return Ok(());
        }
        self.housekeeping_at = now + MAINTENANCE_INTERVAL;
        self.everything_is_due = true;
        self.ingest_everything()?;
        self.begin_pruning_if_due()
    }

    /// Takes up what a monitor before us had given to sinks: once what is left of that is gone, it is sent again.
    fn resume_in_flight(&mut self) -> Result<()> {
        let now = self.homing.now();
        for (wake, session, sink, since) in self.homing.with_ledger(|ledger| ledger.wakes_in_flight())? {
            if self.slots.has(wake) {
                continue;
            }
            let timeout = self.settings.router.sink(&sink).map_or(Duration::ZERO, |sink| sink.timeout());
            let deadline = Instant::now() + timeout.saturating_sub(now.saturating_since(since));
            let sender = self.monitor.sender.clone();
            let of_session = session.clone();
            let wait = move || {
                wait_for_stale_processes(wake, deadline);
                sender.send(Message::AnswerLost { wake, session });
            };
            std::thread::Builder::new()
                .name("homing-outlive".to_owned())
                .spawn(wait)
                .map_err(|error| DiskError::new("start", "a thread", error))?;
            self.slots.start(wake, of_session, sink);
        }
        Ok(())
    }

    /// Whether it was told to stop, and nothing of it is under way any more or the time for that is over.
    fn requested_end(&self) -> Option<MonitorEnd> {
        let is_done = self.slots.is_empty() && self.answers.is_empty();
        let is_finished = |stop_at| is_done || Instant::now() >= stop_at;
        self.stop_at.is_some_and(is_finished).then_some(MonitorEnd::Stopped)
    }

    fn reason_to_end(&mut self) -> Result<Option<MonitorEnd>> {
        if self.stop_at.is_some() {
            return Ok(self.requested_end());
        }
        self.ready_waiting();
        let has_work = !self.ready.is_empty() || !self.slots.is_empty() || !self.answers.is_empty();
        if has_work || self.pruning.is_some() {
            return Ok(None);
        }
        match self.monitor.options.until {
            MonitorUntil::Stopped => Ok(None),
            MonitorUntil::NothingDue => Ok(Some(MonitorEnd::Done)),
            MonitorUntil::Idle => self.is_idle_for_good(),
        }
    }

    /// Whether nothing will have to be told. A launch that finds the lock held counts on us: its doorbell rang before.
    fn is_idle_for_good(&mut self) -> Result<Option<MonitorEnd>> {
        if self.has_work()? {
            return Ok(None);
        }
        self.lock = None;
        if !self.has_work()? {
            return Ok(Some(MonitorEnd::Done));
        }
        self.lock = MonitorLock::try_take(&self.homing.home.root)?;
        Ok(if self.lock.is_some() { None } else { Some(MonitorEnd::LeftToAnother) })
    }

    /// Whether anything is due, or may become due. A job that cannot be read counts as long as trying again may help.
    fn has_work(&self) -> Result<bool> {
        if !self.sessions.is_empty() || self.unreadable.values().any(Unreadable::may_pass) {
            return Ok(true);
        }
        let given_up = |id: &JobId| self.unreadable.contains_key(id);
        let has_entries = !self.homing.inbox_entries()?.iter().all(given_up);
        let unfinished = self.homing.with_ledger(|ledger| ledger.unfinished())?;
        Ok(has_entries || !unfinished.iter().all(|(id, _)| given_up(id)))
    }

    /// Sleeps until something happens.
    fn wait(&self) {
        let mut next: Vec<Instant> =
            [self.sessions.next(), self.jobs.next(), self.limits.next(), self.heartbeat_at, self.stop_at]
                .into_iter()
                .flatten()
                .collect();
        next.push(self.housekeeping_at);
        // What is more urgent comes first, and the rest of retention right after it.
        next.extend(self.pruning.is_some().then(Instant::now));
        if self.watcher.is_none() {
            next.push(Instant::now() + FALLBACK_PAUSE);
        }
        let next = next.into_iter().min().unwrap_or(self.housekeeping_at);
        let timeout = next.saturating_duration_since(Instant::now());
        match &self.watcher {
            Some(watcher) => self.monitor.wait(&[watcher.as_fd()], Some(timeout)),
            None => self.monitor.wait(&[], Some(timeout)),
        }
    }

    pub(super) fn report(&self, event: &MonitorEvent) {
        self.monitor.options.report(event);
    }

    pub(super) fn warn(&self, message: &str) {
        self.report(&MonitorEvent::Warning { message: message.to_owned() });
    }
}

/// Evenly between 0 and 1. Where the system has no randomness to give, nothing is spread.
fn jitter() -> f64 {
    random_bytes().map_or(0.5, |bytes| f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}
