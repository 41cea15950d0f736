//! Turns what launchers and supervisors left on disk into ledger rows. Never signals a process and never writes a
//! record. Costs what is new and what runs, never what is long over.

use std::collections::{HashMap, HashSet};

use std::sync::PoisonError;

use homing_core::{JobId, StateName};
use homing_supervisor::{DiskError, crash_point};

use crate::homing::Homing;
use crate::index::recover::RecoverOptions;
use crate::index::report::SyncReport;
use crate::index::unreadable::{UnreadableJob, is_shortage, may_pass};
use crate::store::observe::{JobSnapshot, SupervisorLiveness, observe};
use crate::{Error, Result};

/// Snapshots that are written to the ledger in one transaction.
const BATCH: usize = 1_000;

impl Homing {
    /// Brings the ledger up to date: takes in every job that has an inbox entry, and observes every job that is not finished.
    /// A job that nobody looks after any more becomes `lost` in the ledger; its processes and its record are left to
    /// [`Homing::recover`]. Everything that reads does this first.
    ///
    /// # Errors
    /// When the home cannot be read or the ledger cannot be written. A single job that cannot be read is no error: it
    /// is in the report.
    pub fn sync(&self) -> Result<SyncReport> {
        self.reap_supervisors();
        let report = self.ingest()?;
        if self.recovers && !report.abandoned.is_empty() {
            self.recover_jobs(&report.abandoned, RecoverOptions::default())?;
        }
        Ok(report)
    }

    fn ingest(&self) -> Result<SyncReport> {
        let here = self.here()?;
        let now_ms = self.now().as_unix_millis();
        if self.with_ledger(|ledger| ledger.full_scan_due(&here.boot_id, now_ms))? {
            return self.full_scan();
        }
        let known = self.with_ledger(|ledger| ledger.unfinished())?;
        let rung = self.inbox_entries()?;
        self.take_in(&rung, known)
    }

    /// As [`Homing::sync`], for who is told by the kernel when a supervisor dies: takes in every job whose doorbell
    /// rang, and of the others only these. Costs nothing for the jobs that just run.
    pub(crate) fn sync_changed(&self, others: &[JobId]) -> Result<SyncReport> {
        self.reap_supervisors();
        if self.with_ledger(|ledger| ledger.was_replaced())? {
            return self.full_scan();
        }
        let mut news = self.inbox_entries()?;
        let rung = news.len();
        news.extend(others);
        let known = self.with_ledger(|ledger| ledger.unfinished_among(&news))?;
        news.truncate(rung);
        self.take_in(&news, known)
    }

    /// Looks at every job there is, rung or not.
    ///
    /// # Errors
    /// As [`Homing::sync`].
    pub fn full_scan(&self) -> Result<SyncReport> {
        let (known_ids, unfinished, abandoned) = self.with_ledger_being_rebuilt(|ledger| {
            let known: HashSet<JobId> = ledger.all_ids()?.into_iter().collect();
            Ok((known, ledger.unfinished()?, ledger.needing_recovery()?))
        })?;
        let mut new: Vec<JobId> =
            self.home.jobs.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        new.retain(|id| !known_ids.contains(id));
        new.extend(self.inbox_entries()?);
        // The process that recovered them may have died before it wrote the inbox entry.
        new.extend(abandoned);
        let report = self.take_in(&new, unfinished)?;
        let boot_id = self.here()?.boot_id.clone();
        // What could not be read for want of resources is found by the next sync.
        if !report.unreadable.iter().any(|(_, error)| is_shortage(error)) {
            let now_ms = self.now().as_unix_millis();
            self.with_ledger_being_rebuilt(|ledger| ledger.full_scan_done(&boot_id, now_ms))?;
        }
        Ok(report)
    }

    /// Takes in these jobs, rung or not.
    pub(crate) fn sync_jobs(&self, ids: &[JobId]) -> Result<SyncReport> {
        self.take_in(ids, Vec::new())
    }

    /// The jobs that have an entry in the inbox: something happened to them that may not be in the ledger yet.
    pub(crate) fn inbox_entries(&self) -> Result<Vec<JobId>> {
        Ok(self.home.inbox.file_names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Looks at the jobs in `rung` and at those that the ledger has as not over, and writes down what is new.
    fn take_in(&self, rung: &[JobId], unfinished: Vec<(JobId, StateName)>) -> Result<SyncReport> {
        let here = self.here()?;
        let unfinished: HashMap<JobId, StateName> = unfinished.into_iter().collect();
        let candidates: HashSet<JobId> = rung.iter().copied().chain(unfinished.keys().copied()).collect();
        let mut report = SyncReport { rung: rung.to_vec(), ..SyncReport::default() };
        let mut snapshots: Vec<JobSnapshot> = Vec::new();
        for id in candidates.iter().copied() {
            match observe(&self.home.jobs, id, here) {
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
        sort_as_asked_for(&mut snapshots);
        crash_point("sync/looked");
        for batch in snapshots.chunks(BATCH) {
            self.with_ledger_being_rebuilt(|ledger| ledger.record(batch))?;
        }
        report.updated.extend(snapshots.iter().map(|seen| seen.spec.id));
        crash_point("sync/recorded");
        // Only now: had we died before, the next sync would find them still rung. A job that rings between our look
        // and this is in the ledger as not over, and is looked at by every sync.
        for id in rung {
            if report.unreadable.iter().all(|(unreadable, _)| unreadable != id) {
                self.home.inbox.remove_file(id.as_str()).map_err(Error::from)?;
            }
        }
        Ok(report)
    }

    /// A job that was not over has lost its directory: somebody removed it.
    fn record_removed(&self, id: JobId) -> Result<()> {
        let now_ms = self.now().as_unix_millis();
        self.with_ledger_being_rebuilt(|ledger| ledger.record_removed(id, now_ms))
    }

    /// Lets the kernel forget supervisors of ours that have ended.
    pub(crate) fn reap_supervisors(&self) {
        let mut supervisors = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that somebody else has reaped it.
        supervisors.retain_mut(|supervisor| matches!(supervisor.try_wait(), Ok(None)));
    }
}

/// Puts jobs in the order in which they were asked for: by the clock that does not jump within a boot, and boots by
/// their first job's time on the wall.
fn sort_as_asked_for(snapshots: &mut [JobSnapshot]) {
    let mut boots: HashMap<String, i64> = HashMap::new();
    for seen in snapshots.iter() {
        let first = boots.entry(seen.spec.boot_id.clone()).or_insert(i64::MAX);
        *first = (*first).min(seen.spec.created_at_ms);
    }
    snapshots.sort_by_cached_key(|seen| {
        (boots[&seen.spec.boot_id], seen.spec.boot_id.clone(), seen.spec.created_uptime_us)
    });
}

impl Homing {
    /// The jobs that could not be read when they were last looked at, in the order of their ids. Does not look at
    /// anything: call it after what looked, such as [`Homing::list`] or [`Homing::get`].
    pub fn unreadable_jobs(&self) -> Vec<UnreadableJob> {
        let unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        unreadable.values().cloned().collect()
    }

    /// Notes what came of looking at these jobs.
    pub(crate) fn note_unreadable(
        &self,
        looked_at: impl IntoIterator<Item = JobId>,
        failed: &[(JobId, DiskError)],
    ) {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if !unreadable.is_empty() {
            looked_at.into_iter().for_each(|id| drop(unreadable.remove(&id)));
        }
        for (id, error) in failed {
            let job = UnreadableJob { id: *id, reason: error.to_string(), may_pass: may_pass(error) };
            unreadable.insert(*id, job);
        }
    }
}
