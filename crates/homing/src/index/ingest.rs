//! Turns the files of launchers and supervisors into ledger rows. Never signals a process and never writes a record.
//! The cost depends on new and running jobs, not on finished ones.

use std::collections::{HashMap, HashSet};

use homing_core::{JobId, StateName};
use homing_supervisor::{DiskError, crash_point};

use crate::context::Context;
use crate::index::report::SyncReport;
use crate::ledger::Ledger;
use crate::store::observe::{JobSnapshot, SupervisorLiveness, observe};
use crate::store::recover::RecoverOptions;
use crate::store::unreadable::{UnreadableJob, is_shortage, may_pass};
use crate::{Error, Result};

/// Snapshots that are written to the ledger in one transaction.
const BATCH: usize = 1_000;

impl Context {
    /// Runs `work` on the ledger. Sets a damaged ledger aside, rebuilds it from the job directories and runs `work` again.
    pub(crate) fn with_ledger<T>(&self, work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>) -> Result<T> {
        self.work_on_ledger(work, || self.full_scan().map(drop))
    }

    /// As [`Context::with_ledger`], for the scan that rebuilds the ledger: it must not start another scan.
    fn with_ledger_being_rebuilt<T>(
        &self,
        work: impl FnMut(&mut Ledger) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.work_on_ledger(work, || Ok(()))
    }

    /// Updates the ledger: ingests every job that has an inbox entry, and observes every job that has not finished.
    /// A job without a live supervisor becomes `lost` in the ledger; [`Homing::recover`](crate::Homing::recover) ends its processes and writes
    /// its record. Every operation that reads jobs calls this first.
    pub(crate) fn sync(&self) -> Result<SyncReport> {
        self.store.reap_children();
        let report = self.ingest()?;
        self.recover_abandoned(&report)?;
        if self.recovers {
            self.start_mirrors()?;
        }
        Ok(report)
    }

    /// As [`Context::sync_changed`], and recovers jobs if this home does.
    pub(crate) fn follow_changes(&self, others: &[JobId]) -> Result<SyncReport> {
        let report = self.sync_changed(others)?;
        self.recover_abandoned(&report)?;
        Ok(report)
    }

    fn recover_abandoned(&self, report: &SyncReport) -> Result<()> {
        if self.recovers && !report.abandoned.is_empty() {
            self.recover_jobs(&report.abandoned, RecoverOptions::default())?;
        }
        Ok(())
    }

    fn ingest(&self) -> Result<SyncReport> {
        let here = self.store.here()?;
        let now_ms = self.now().as_unix_millis();
        if self.with_ledger(|ledger| ledger.full_scan_due(&here.boot_id, now_ms))? {
            return self.full_scan();
        }
        let known = self.with_ledger(|ledger| ledger.unfinished())?;
        let with_inbox_entry = self.inbox_entries()?;
        self.ingest_jobs(&with_inbox_entry, known)
    }

    /// As [`Homing::sync`](crate::Homing::sync), for callers that the kernel notifies when a supervisor dies: ingests every job with an inbox
    /// entry, and of the others only these. Jobs that just run cost nothing.
    pub(crate) fn sync_changed(&self, others: &[JobId]) -> Result<SyncReport> {
        self.store.reap_children();
        if self.with_ledger(|ledger| ledger.was_replaced())? {
            return self.full_scan();
        }
        let mut changed = self.inbox_entries()?;
        let with_inbox_entry = changed.len();
        changed.extend(others);
        let known = self.with_ledger(|ledger| ledger.unfinished_among(&changed))?;
        changed.truncate(with_inbox_entry);
        self.ingest_jobs(&changed, known)
    }

    /// Observes every job, with or without an inbox entry.
    pub(crate) fn full_scan(&self) -> Result<SyncReport> {
        let (known_ids, unfinished, abandoned) = self.with_ledger_being_rebuilt(|ledger| {
            let known: HashSet<JobId> = ledger.all_ids()?.into_iter().collect();
            Ok((known, ledger.unfinished()?, ledger.needing_recovery()?))
        })?;
        let mut new: Vec<JobId> =
            self.store.home.jobs.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        new.retain(|id| !known_ids.contains(id));
        new.extend(self.inbox_entries()?);
        // The process that recovered them may have died before it wrote the inbox entry.
        new.extend(abandoned);
        let report = self.ingest_jobs(&new, unfinished)?;
        let boot_id = self.store.here()?.boot_id.clone();
        // The next sync retries jobs that could not be read for lack of resources.
        if !report.unreadable.iter().any(|(_, error)| is_shortage(error)) {
            let now_ms = self.now().as_unix_millis();
            self.with_ledger_being_rebuilt(|ledger| ledger.full_scan_done(&boot_id, now_ms))?;
        }
        Ok(report)
    }

    /// Ingests these jobs, with or without an inbox entry.
    pub(crate) fn sync_jobs(&self, ids: &[JobId]) -> Result<SyncReport> {
        self.ingest_jobs(ids, Vec::new())
    }

    /// The jobs that have an inbox entry: the ledger may not have their latest change.
    pub(crate) fn inbox_entries(&self) -> Result<Vec<JobId>> {
        Ok(self.store.home.inbox.file_names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Observes the jobs in `with_inbox_entry` and those that are unfinished in the ledger, and records the changes.
    fn ingest_jobs(
        &self,
        with_inbox_entry: &[JobId],
        unfinished: Vec<(JobId, StateName)>,
    ) -> Result<SyncReport> {
        let here = self.store.here()?;
        let unfinished: HashMap<JobId, StateName> = unfinished.into_iter().collect();
        let candidates: HashSet<JobId> =
            with_inbox_entry.iter().copied().chain(unfinished.keys().copied()).collect();
        let mut report = SyncReport { with_inbox_entry: with_inbox_entry.to_vec(), ..SyncReport::default() };
        let mut snapshots: Vec<JobSnapshot> = Vec::new();
        for id in candidates.iter().copied() {
            match observe(&self.store.home.jobs, id, here) {
                Ok(Some(seen)) => {
                    if seen.recovery().is_some() {
                        report.abandoned.push(id);
                    }
                    match seen.supervisor {
                        SupervisorLiveness::Unknown | SupervisorLiveness::Elsewhere => {
                            report.unreachable.push(id);
                        }
                        SupervisorLiveness::Alive
                        | SupervisorLiveness::MayAppear
                        | SupervisorLiveness::Gone(_) => {}
                    }
                    if unfinished.get(&id) != Some(&seen.state_name()) {
                        snapshots.push(seen);
                    }
                }
                Ok(None) => {
                    if unfinished.contains_key(&id) {
                        self.record_removed(id)?;
                        report.updated.push(id);
                    }
                }
                Err(error) => report.unreadable.push((id, error)),
            }
        }
        self.note_unreadable(candidates, &report.unreadable);
        sort_by_launch(&mut snapshots);
        crash_point("sync/observed");
        for batch in snapshots.chunks(BATCH) {
            self.with_ledger_being_rebuilt(|ledger| ledger.record(batch))?;
        }
        for JobSnapshot { spec, finished, .. } in &snapshots {
            if let Some(finished) = finished {
                tracing::info!(job = %spec.id, session = %spec.session, outcome = finished.end.outcome.kind(), "finished");
            }
        }
        report.updated.extend(snapshots.iter().map(|seen| seen.spec.id));
        crash_point("sync/recorded");
        // Remove the entries last: after a crash before this, the next sync finds them. A job that adds an entry
        // between the observation and this is unfinished in the ledger, and every sync observes it.
        for id in with_inbox_entry {
            if report.unreadable.iter().all(|(unreadable, _)| unreadable != id) {
                self.store.home.inbox.remove_file(id.as_str()).map_err(Error::from)?;
            }
        }
        Ok(report)
    }

    /// Handles an unfinished job whose directory was removed.
    fn record_removed(&self, id: JobId) -> Result<()> {
        let now_ms = self.now().as_unix_millis();
        self.with_ledger_being_rebuilt(|ledger| ledger.record_removed(id, now_ms))
    }
}

/// Sorts jobs in launch order: within a boot by the monotonic clock, and boots by the wall-clock time of their first
/// job.
fn sort_by_launch(snapshots: &mut [JobSnapshot]) {
    let mut boots: HashMap<String, i64> = HashMap::new();
    for seen in snapshots.iter() {
        let first = boots.entry(seen.spec.boot_id.clone()).or_insert(i64::MAX);
        *first = (*first).min(seen.spec.created_at_ms);
    }
    snapshots.sort_by_cached_key(|seen| {
        (boots[&seen.spec.boot_id], seen.spec.boot_id.clone(), seen.spec.created_uptime_us)
    });
}

impl Context {
    /// The jobs that could not be read when they were last observed, sorted by id. Observes nothing itself: call it after
    /// an operation that does, such as [`Homing::list`](crate::Homing::list) or [`Homing::get`](crate::Homing::get).
    pub(crate) fn unreadable_jobs(&self) -> Vec<UnreadableJob> {
        let unreadable = self.unreadable();
        unreadable.values().cloned().collect()
    }

    /// Remembers which of these jobs could not be read.
    pub(crate) fn note_unreadable(
        &self,
        observed: impl IntoIterator<Item = JobId>,
        failed: &[(JobId, DiskError)],
    ) {
        let mut unreadable = self.unreadable();
        if !unreadable.is_empty() {
            observed.into_iter().for_each(|id| drop(unreadable.remove(&id)));
        }
        for (id, error) in failed {
            let job = UnreadableJob { id: *id, reason: error.to_string(), may_pass: may_pass(error) };
            unreadable.insert(*id, job);
        }
    }
}
