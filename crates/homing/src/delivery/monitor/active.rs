//! The main loop of the active monitor: it ingests changes, updates the ledger, and hands wakes to sinks.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use homing_core::{JobId, SessionId};
use homing_supervisor::DiskError;
use homing_supervisor::platform::notify::NO_WATCH_LEFT;
use homing_supervisor::platform::random;

use super::alerts::Alerts;
use super::events::MonitorEvent;
use super::handle::Monitor;
use super::home_watcher::HomeWatcher;
use super::lock::MonitorLock;
use super::mailbox::Message;
use super::options::{MonitorEnd, MonitorUntil};
use super::settings::Settings;
use super::slots::{SessionQueue, Slots};
use super::timers::Timers;
use super::unreadable_job::Unreadable;
use crate::context::Context;
use crate::index::prune::PrunePass;
use crate::ledger::{ChangeContext, WakeChange};
use crate::process::wait_for_stale_processes;
use crate::{Error, Result};

/// How often the monitor scans the whole home: it applies retention and finds changes without an inbox entry.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often the monitor polls the home if it cannot be watched for changes: twice a second.
const FALLBACK_PAUSE: Duration = Duration::from_millis(500);

/// How long the monitor waits before it ingests jobs again after an error.
pub(super) const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// How long the monitor waits after a general error. It doubles with every further error.
const FIRST_ERROR_PAUSE: Duration = Duration::from_millis(250);

/// The longest wait after repeated errors.
const MAX_ERROR_PAUSE: Duration = Duration::from_secs(60);

/// How often a monitor that only delivers what is due retries after errors before it gives up.
const MAX_ERRORS: u32 = 5;

/// A monitor that holds the lock.
pub(super) struct Active<'m> {
    pub(super) monitor: &'m Monitor,
    pub(super) context: &'m Context,
    pub(super) lock: Option<MonitorLock>,
    pub(super) settings: Settings,
    /// `None` if the home cannot be watched for changes: the user has no watches left.
    pub(super) watcher: Option<HomeWatcher>,
    /// Sessions to decide for, in order.
    pub(super) ready: SessionQueue,
    /// When to decide for sessions again.
    pub(super) sessions: Timers<SessionId>,
    /// When to check unfinished jobs again, even without an inbox entry.
    pub(super) jobs: Timers<JobId>,
    /// When to enforce the timeouts of running jobs, in case their supervisors do not.
    pub(super) limits: Timers<JobId>,
    /// Jobs that exceeded their timeout, with the last pause before their next check.
    pub(super) overdue: HashMap<JobId, Duration>,
    /// Jobs that could not be read at their last check.
    pub(super) unreadable: HashMap<JobId, Unreadable>,
    /// Whether a full scan is due, because events were lost or because the last scan failed.
    pub(super) everything_is_due: bool,
    pub(super) maintenance_at: Instant,
    /// The retention pass in progress.
    pub(super) pruning: Option<PrunePass>,
    pub(super) heartbeat_at: Option<Instant>,
    /// The deliveries in flight.
    pub(super) slots: Slots,
    /// Answers of sinks that are not in the ledger yet.
    pub(super) answers: Vec<WakeChange>,
    /// Events to report once the answers are in the ledger.
    pub(super) answered: Vec<MonitorEvent>,
    /// Sessions that were reported free. An earlier busy answer may arrive later.
    pub(super) freed: HashSet<SessionId>,
    /// Dead wakes to tell a person about.
    pub(super) alerts: RefCell<Alerts>,
    /// The deadline of a requested stop.
    pub(super) stop_at: Option<Instant>,
    /// Whether the ledger has recorded that this monitor is active.
    pub(super) is_recorded: bool,
}

impl<'m> Active<'m> {
    /// A monitor that has not scanned the home yet.
    pub(super) fn new(monitor: &'m Monitor, lock: MonitorLock, freed: HashSet<SessionId>) -> Active<'m> {
        let context = &*monitor.context;
        Active {
            monitor,
            context,
            lock: Some(lock),
            settings: monitor.settings.clone(),
            // Watch before scanning, so that no change is missed in between.
            watcher: HomeWatcher::of(&context.store.home, context.store.loaded.users_file().as_deref()).ok(),
            ready: SessionQueue::default(),
            sessions: Timers::default(),
            jobs: Timers::default(),
            limits: Timers::default(),
            overdue: HashMap::new(),
            unreadable: HashMap::new(),
            everything_is_due: true,
            maintenance_at: Instant::now() + MAINTENANCE_INTERVAL,
            pruning: None,
            heartbeat_at: None,
            slots: Slots::default(),
            answers: Vec::new(),
            answered: Vec::new(),
            freed,
            alerts: RefCell::default(),
            stop_at: None,
            is_recorded: false,
        }
    }

    /// Runs until it has a reason to end. Records its end before it releases the lock.
    pub(super) fn run(mut self) -> Result<MonitorEnd> {
        let end = self.run_until_end();
        self.record_end();
        end
    }

    fn run_until_end(&mut self) -> Result<MonitorEnd> {
        if self.watcher.is_none() {
            self.warn_of_polling();
        }
        let mut errors = 0;
        // First find everything that is due.
        while let Err(error) = self.begin() {
            // A caller that waits for the result gets an error at the start as the result.
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

    /// Finds everything that is due in the home. Can be repeated.
    fn begin(&mut self) -> Result<()> {
        self.read_messages();
        let mut report = self.context.full_scan()?;
        self.record_start()?;
        self.recover(&mut report)?;
        self.retry_unreadable(report.unreadable);
        self.keep_mirrors()?;
        self.watch_unfinished()?;
        self.resume_in_flight()?;
        self.queue_all_sessions()?;
        self.everything_is_due = false;
        self.begin_pruning_if_due()
    }

    /// Reports an error, and waits before the next attempt, longer each time. Due work stays due.
    ///
    /// # Errors
    /// The same error, if a retry does not help or if a caller waits for the result.
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
        self.monitor.wait(None, Some(pause.min(MAX_ERROR_PAUSE)));
        // A message ends the wait. Read it here, or it would end every later wait too.
        self.read_messages();
        Ok(())
    }

    /// Does all work that is possible now.
    fn work(&mut self) -> Result<()> {
        self.read_messages();
        self.record_start()?;
        self.record_answers()?;
        self.retry_freed_sessions()?;
        self.keep_limits()?;
        self.ingest_changes()?;
        self.run_maintenance()?;
        for session in self.sessions.take_due(Instant::now()) {
            self.queue_session(session);
        }
        self.wake_sessions()?;
        self.note_dead_wakes()?;
        self.send_alert()?;
        self.prune_some()
    }

    pub(super) fn change(&self, changes: &[WakeChange]) -> Result<Vec<bool>> {
        let context =
            ChangeContext { policy: &self.settings.policy, now: self.context.now(), jitter: jitter() };
        self.context.with_ledger(|ledger| ledger.change_wakes(changes, &context))
    }

    /// Sends the heartbeat, and starts the periodic full scan.
    fn run_maintenance(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.heartbeat_at.is_none_or(|due| due <= now) {
            self.heartbeat_at = self.monitor.options.heartbeat.map(|every| now + every);
            self.report(&MonitorEvent::Alive);
        }
        if now < self.maintenance_at {
            return Ok(());
        }
        self.maintenance_at = now + MAINTENANCE_INTERVAL;
        self.everything_is_due = true;
        self.ingest_everything()?;
        self.begin_pruning_if_due()
    }

    /// Resumes wakes that an earlier monitor had in flight: sends them again once their old processes have ended.
    fn resume_in_flight(&mut self) -> Result<()> {
        let now = self.context.now();
        for (wake, session, sink, since) in self.context.with_ledger(|ledger| ledger.wakes_in_flight())? {
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
                .name("homing-stale".to_owned())
                .spawn(wait)
                .map_err(|error| DiskError::new("start", "a thread", error))?;
            self.slots.start(wake, of_session, sink);
        }
        Ok(())
    }

    /// Sleeps until something happens.
    fn wait(&self) {
        let mut next: Vec<Instant> =
            [self.sessions.next(), self.jobs.next(), self.limits.next(), self.heartbeat_at, self.stop_at]
                .into_iter()
                .flatten()
                .collect();
        next.push(self.maintenance_at);
        // Retention continues right after more urgent work.
        next.extend(self.pruning.is_some().then(Instant::now));
        if self.watcher.is_none() {
            next.push(Instant::now() + FALLBACK_PAUSE);
        }
        let next = next.into_iter().min().unwrap_or(self.maintenance_at);
        let timeout = next.saturating_duration_since(Instant::now());
        self.monitor.wait(self.watcher.as_ref().map(HomeWatcher::wait_source), Some(timeout));
    }

    pub(super) fn report(&self, event: &MonitorEvent) {
        self.monitor.options.report(event);
    }

    /// Warns that the home cannot be watched for changes.
    pub(super) fn warn_of_polling(&self) {
        self.warn(&format!("{NO_WATCH_LEFT}; polling twice a second"));
    }

    pub(super) fn warn(&self, message: &str) {
        self.report(&MonitorEvent::Warning { message: message.to_owned() });
    }
}

/// A random number between 0 and 1, or 0.5 if the system has no randomness.
fn jitter() -> f64 {
    random::bytes().map_or(0.5, |bytes| f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX))
}
