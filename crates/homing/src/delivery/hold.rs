//! Holds delivery for a session that reads the results of its jobs itself: meanwhile it is not woken for them.

use std::fs::File;
use std::time::Duration;

use homing_core::{JobId, SessionId};
use homing_supervisor::SpecFile;
use homing_supervisor::layout::{RECORD, SPEC};
use homing_supervisor::platform::limits;
use homing_supervisor::platform::lock::{self, Attempt};

use crate::context::Context;

/// How long after the end of a job its delivery can be held. After that the session is woken.
const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// Holds the delivery of jobs whose results a session reads itself. The kernel releases it when the process dies, and
/// the session is woken.
#[derive(Debug)]
#[must_use = "the session is woken as soon as this is dropped"]
pub struct DeliveryHold {
    /// A locked file of each job.
    held: Vec<(JobId, File)>,
}

impl Context {
    /// Holds the wakes of `reader` for these jobs, if the jobs are its own. Acknowledge the jobs before you drop the
    /// returned hold.
    pub(crate) fn hold_delivery(&self, jobs: &[JobId], reader: &SessionId) -> DeliveryHold {
        self.hold(jobs, reader, RECORD)
    }

    fn hold(&self, jobs: &[JobId], reader: &SessionId, name: &str) -> DeliveryHold {
        // If a hold fails, the session is at worst woken once more. So holds must not use up the descriptors that the
        // wait itself needs.
        let held = jobs.iter().filter_map(|job| Some((*job, self.lock(*job, reader, name)?)));
        DeliveryHold { held: held.take(max_held()).collect() }
    }

    fn lock(&self, job: JobId, reader: &SessionId, name: &str) -> Option<File> {
        let directory = self.store.home.jobs.open_job(job).ok()?;
        let spec = SpecFile::read(&directory).ok()??;
        let file = directory.open_to_read(name).ok()??;
        if spec.session != *reader {
            return None;
        }
        lock::shared(&file).ok()?;
        Some(file)
    }

    /// Stops the monitor from waking `reader` for these jobs, for a caller that delivers their results itself. Unlike
    /// [`Homing::hold_delivery`](crate::Homing::hold_delivery) it does not stop other hooks.
    pub(crate) fn reserve(&self, jobs: &[JobId], reader: &SessionId) -> DeliveryHold {
        self.hold(jobs, reader, SPEC)
    }

    /// Whether the session of a recently finished job reads its result itself.
    pub(crate) fn is_being_read(&self, job: JobId) -> bool {
        self.is_locked(job, RECORD) && self.finished_recently(job).unwrap_or(false)
    }

    /// Whether another process delivers the result of a recently finished job.
    pub(crate) fn is_reserved(&self, job: JobId) -> bool {
        let is_theirs = self.is_locked(job, RECORD) || self.is_locked(job, SPEC);
        is_theirs && self.finished_recently(job).unwrap_or(false)
    }

    fn finished_recently(&self, job: JobId) -> Option<bool> {
        let job = self.with_ledger(|ledger| ledger.job(job)).ok()??.ok()?;
        let ended_at = job.state.finished()?.ended_at;
        Some(self.now().saturating_since(ended_at) < READING_TIMEOUT)
    }

    fn is_locked(&self, job: JobId, name: &str) -> bool {
        let Ok(Some(file)) =
            self.store.home.jobs.open_job(job).and_then(|directory| directory.open_to_read(name))
        else {
            return false;
        };
        let is_locked = matches!(lock::try_exclusive(&file), Ok(Attempt::HeldByAnother));
        lock::unlock(&file);
        is_locked
    }
}

impl DeliveryHold {
    /// Whether this hold covers that job.
    pub(crate) fn holds(&self, job: JobId) -> bool {
        self.held.iter().any(|(held, _)| *held == job)
    }

    /// Adds the jobs of `other` to this hold.
    pub(crate) fn add(&mut self, mut other: DeliveryHold) {
        self.held.append(&mut other.held);
    }
}

impl Drop for DeliveryHold {
    fn drop(&mut self) {
        self.held.iter().for_each(|(_, file)| lock::unlock(file));
    }
}

/// How many files may be held: half of the descriptors that this process may open.
fn max_held() -> usize {
    usize::try_from(limits::descriptors() / 2).unwrap_or(usize::MAX)
}
