//! Turns what launchers and supervisors left on disk into ledger rows. Costs what is new and what runs, never what is
//! long over.

use std::collections::{HashMap, HashSet};

use homing_core::{JobId, StateName};
use homing_supervisor::{DiskError, crash_point};

use crate::homing::Homing;
use crate::sighting::{Sighting, look_at};
use crate::{Error, Result};

/// What a sync found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// Jobs whose state the ledger did not know yet.
    pub updated: Vec<JobId>,
    /// Jobs that could not be read, and why. Their directories are left as they are.
    pub unreadable: Vec<(JobId, DiskError)>,
    /// Jobs whose doorbell rang.
    pub(crate) rung: Vec<JobId>,
}

/// Sightings that are written to the ledger in one transaction.
const BATCH: usize = 1_000;

impl Homing {
    /// Brings the ledger up to date: takes in every job whose doorbell rang, and looks at every job that is not over.
    /// A job that nobody looks after any more is ended and recorded as lost. Everything that reads does this first.
    ///
    /// # Errors
    /// When the home cannot be read or the ledger cannot be written. A single job that cannot be read is no error: it
    /// is in the report.
    pub fn sync(&self) -> Result<SyncReport> {
        self.reap_supervisors();
        let boot_id = self.boot_id()?;
        let now_ms = self.now().as_unix_millis();
        if self.with_ledger(|ledger| ledger.full_scan_due(&boot_id, now_ms))? {
            let report = self.full_scan()?;
            // Once a day is also when what is over and told goes.
            self.prune_known(self.config.retention.finished)?;
            return Ok(report);
        }
        let known = self.with_ledger(|ledger| ledger.unfinished())?;
        let rung = self.rung_doorbells()?;
        self.take_in(&rung, known, &boot_id)
    }

    /// As [`Homing::sync`], for who is told by the kernel when a supervisor dies: takes in every job whose doorbell
    /// rang, and of the others only these. Costs nothing for the jobs that just run.
    pub(crate) fn sync_news(&self, others: &[JobId]) -> Result<SyncReport> {
        self.reap_supervisors();
        let boot_id = self.boot_id()?;
        let mut news = self.rung_doorbells()?;
        let rung = news.len();
        news.extend(others);
        let known = self.with_ledger(|ledger| ledger.unfinished_among(&news))?;
        news.truncate(rung);
        self.take_in(&news, known, &boot_id)
    }

    /// Looks at every job there is, rung or not.
    ///
    /// # Errors
    /// As [`Homing::sync`].
    pub fn full_scan(&self) -> Result<SyncReport> {
        let boot_id = self.boot_id()?;
        let (known_ids, unfinished) = self.with_ledger_being_rebuilt(|ledger| {
            Ok((ledger.all_ids()?.into_iter().collect::<HashSet<JobId>>(), ledger.unfinished()?))
        })?;
        let mut new: Vec<JobId> =
            self.home.jobs.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        new.retain(|id| !known_ids.contains(id));
        new.extend(self.rung_doorbells()?);
        let report = self.take_in(&new, unfinished, &boot_id)?;
        let now_ms = self.now().as_unix_millis();
        self.with_ledger_being_rebuilt(|ledger| ledger.full_scan_done(&boot_id, now_ms))?;
        Ok(report)
    }

    /// Takes in one job, rung or not.
    pub(crate) fn sync_job(&self, id: JobId) -> Result<()> {
        let boot_id = self.boot_id()?;
        self.take_in(&[id], Vec::new(), &boot_id).map(drop)
    }

    fn rung_doorbells(&self) -> Result<Vec<JobId>> {
        Ok(self.home.inbox.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Looks at the jobs in `rung` and at those that the ledger has as not over, and writes down what is new.
    fn take_in(
        &self,
        rung: &[JobId],
        unfinished: Vec<(JobId, StateName)>,
        boot_id: &str,
    ) -> Result<SyncReport> {
        let unfinished: HashMap<JobId, StateName> = unfinished.into_iter().collect();
        let candidates: HashSet<JobId> = rung.iter().copied().chain(unfinished.keys().copied()).collect();
        let mut report = SyncReport { rung: rung.to_vec(), ..SyncReport::default() };
        let mut sightings: Vec<Sighting> = Vec::new();
        for id in candidates {
            match look_at(&self.home.jobs, id, boot_id) {
                Ok(Some(seen)) if unfinished.get(&id) != Some(&seen.state_name()) => sightings.push(seen),
                Ok(Some(_)) => {}
                Ok(None) => {
                    if unfinished.contains_key(&id) {
                        self.record_removed(id)?;
                        report.updated.push(id);
                    }
                }
                Err(error) => report.unreadable.push((id, error)),
            }
        }
        sort_as_asked_for(&mut sightings);
        crash_point("sync/looked");
        for batch in sightings.chunks(BATCH) {
            self.with_ledger_being_rebuilt(|ledger| ledger.record(batch))?;
        }
        report.updated.extend(sightings.iter().map(|seen| seen.spec.id));
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
        let mut supervisors = self.supervisors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // An error means that somebody else has reaped it.
        supervisors.retain_mut(|supervisor| matches!(supervisor.try_wait(), Ok(None)));
    }
}

/// Puts jobs in the order in which they were asked for: by the clock that does not jump within a boot, and boots by
/// their first job's time on the wall.
fn sort_as_asked_for(sightings: &mut [Sighting]) {
    let mut boots: HashMap<String, i64> = HashMap::new();
    for seen in sightings.iter() {
        let first = boots.entry(seen.spec.boot_id.clone()).or_insert(i64::MAX);
        *first = (*first).min(seen.spec.created_at_ms);
    }
    sightings.sort_by_cached_key(|seen| {
        (boots[&seen.spec.boot_id], seen.spec.boot_id.clone(), seen.spec.created_uptime_us)
    });
}
