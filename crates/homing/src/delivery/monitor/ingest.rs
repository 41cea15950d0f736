//! Receives changes of jobs in the active monitor, and updates the ledger.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use homing_core::{JobId, SessionId, StateName};
use homing_supervisor::{crash_point, injected_millis};

use super::MonitorEvent;
use super::active::{Active, ERROR_PAUSE};
use super::settings::Settings;
use crate::Result;
use crate::config::Config;
use crate::index::report::SyncReport;
use crate::store::recover::RecoverOptions;

/// When to check a changed, unfinished job again: another process may have held its lock while it checked the job, so
/// that its supervisor seemed to be alive.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// When to check a job again that has not started: its supervisor has 11 s to appear.
const START_CHECK: Duration = Duration::from_millis(11_500);

/// How often to check that the mirrors of executors with unfinished jobs run.
const MIRROR_CHECK: Duration = Duration::from_secs(60);

fn mirror_check() -> Duration {
    injected_millis("monitor/mirror_check").unwrap_or(MIRROR_CHECK)
}

fn start_check() -> Duration {
    injected_millis("monitor/start_check").unwrap_or(START_CHECK)
}

impl Active<'_> {
    /// Updates the ledger with the changes that the watcher reported.
    pub(super) fn ingest_changes(&mut self) -> Result<()> {
        let mut overdue = self.jobs.take_due(Instant::now());
        let Some(watcher) = &self.watcher else {
            let mut report = self.context.sync()?;
            self.recover(&mut report)?;
            self.retry_unreadable(report.unreadable);
            return self.queue_sessions_of(report.updated.iter().chain(&report.with_inbox_entry));
        };
        let mut changes = watcher.take();
        if changes.configured {
            self.read_configuration();
        }
        // Kept until it succeeds: the watcher reports each change once.
        self.everything_is_due |= changes.everything;
        if self.everything_is_due {
            return self.ingest_everything();
        }
        let second_look = Instant::now() + SECOND_LOOK;
        for job in changes.jobs.drain(..) {
            self.jobs.set(&job, Some(second_look));
            overdue.push(job);
        }
        if overdue.is_empty() {
            return Ok(());
        }
        overdue.sort_unstable();
        overdue.dedup();
        let done = self.ingest(&overdue);
        if done.is_err() {
            // The watcher reports each change once.
            let again = Some(Instant::now() + ERROR_PAUSE);
            overdue.iter().for_each(|job| self.jobs.set(job, again));
        }
        done
    }

    pub(super) fn ingest(&mut self, jobs: &[JobId]) -> Result<()> {
        let mut report = self.context.sync_changed(jobs)?;
        self.recover(&mut report)?;
        self.keep_mirrors()?;
        crash_point("monitor/synced");
        let seen: Vec<JobId> = report.with_inbox_entry.iter().chain(jobs).copied().collect();
        self.watch(&seen)?;
        self.retry_unreadable(report.unreadable);
        self.queue_sessions_of(seen.iter())
    }

    /// Starts the mirrors of executors that have unfinished jobs, and looks again later: nothing reports that one was killed.
    pub(super) fn keep_mirrors(&mut self) -> Result<()> {
        if let Some(job) = self.context.start_mirrors()? {
            self.jobs.set(&job, Some(Instant::now() + mirror_check()));
        }
        Ok(())
    }

    /// Recovers the jobs whose supervisor died, before their sessions are notified: ends and reports their remaining
    /// processes. Retries failed recoveries like unreadable jobs.
    pub(super) fn recover(&self, report: &mut SyncReport) -> Result<()> {
        if report.abandoned.is_empty() {
            return Ok(());
        }
        let recovered = self.context.recover_jobs(&report.abandoned, RecoverOptions::default())?;
        report.unreadable.extend(recovered.failed);
        Ok(())
    }

    /// Reloads the configuration that the user changed. An invalid configuration is ignored.
    fn read_configuration(&mut self) {
        let read = Config::load().and_then(|config| {
            Settings::new(&config, self.context.store.home.root.path(), &self.monitor.options)
        });
        match read.and_then(|settings| {
            self.settings = settings;
            self.queue_all_sessions()
        }) {
            Ok(()) => self.report(&MonitorEvent::Configured),
            Err(error) => self.warn(&format!("changed configuration ignored: {error}")),
        }
    }

    pub(super) fn ingest_everything(&mut self) -> Result<()> {
        let mut report = self.context.sync()?;
        self.recover(&mut report)?;
        self.keep_mirrors()?;
        self.watch_unfinished()?;
        self.retry_unreadable(report.unreadable);
        self.queue_all_sessions()?;
        self.everything_is_due = false;
        Ok(())
    }

    /// Watches those of these jobs that are unfinished, and stops watching the others.
    pub(super) fn watch(&mut self, jobs: &[JobId]) -> Result<()> {
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let unfinished: HashMap<JobId, StateName> =
            self.context.with_ledger(|ledger| ledger.unfinished_among(jobs))?.into_iter().collect();
        let mut exhausted = false;
        let mut running = Vec::new();
        for job in jobs {
            match unfinished.get(job) {
                Some(state) => {
                    running.extend((*state == StateName::Running).then_some(*job));
                    let is_new = !watcher.watches(*job);
                    exhausted |= watcher.watch(&self.context.store.home, *job).is_err();
                    if is_new {
                        // It may have finished before it was watched.
                        self.jobs.set(job, Some(Instant::now()));
                    } else if *state == StateName::Starting {
                        self.jobs.set(job, Some(Instant::now() + start_check()));
                    }
                }
                None => {
                    watcher.forget(*job);
                    self.jobs.set(job, None);
                    self.limits.set(job, None);
                    self.overdue.remove(job);
                }
            }
        }
        running.into_iter().for_each(|job| self.watch_limit(job));
        if exhausted {
            self.watcher = None;
            self.warn_of_polling();
        }
        Ok(())
    }

    pub(super) fn watch_unfinished(&mut self) -> Result<()> {
        let unfinished = self.context.with_ledger(|ledger| ledger.unfinished())?;
        self.watch(&unfinished.into_iter().map(|(job, _)| job).collect::<Vec<_>>())
    }

    pub(super) fn queue_all_sessions(&mut self) -> Result<()> {
        let sessions = self.context.with_ledger(|ledger| ledger.sessions_to_notify())?;
        sessions.into_iter().for_each(|session| self.queue_session(session));
        Ok(())
    }

    pub(super) fn queue_sessions_of<'j>(&mut self, jobs: impl Iterator<Item = &'j JobId>) -> Result<()> {
        let jobs: Vec<JobId> = jobs.copied().collect();
        let sessions = self.context.with_ledger(|ledger| ledger.sessions_of(&jobs))?;
        sessions.into_iter().for_each(|session| self.queue_session(session));
        Ok(())
    }

    pub(super) fn queue_session(&mut self, session: SessionId) {
        self.ready.push(session);
    }
}
