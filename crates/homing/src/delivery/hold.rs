//! A session that waits for its jobs itself is about to read how they ended: while it does, it is not woken for them.

use std::os::fd::OwnedFd;
use std::time::Duration;

use homing_core::{JobId, SessionId};
use homing_supervisor::SpecFile;
use homing_supervisor::layout::{RECORD, SPEC};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Resource, getrlimit};

use crate::homing::Homing;

/// How long after its end a job is held back for a session that reads it itself: whoever takes longer is told.
const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// Says that a session reads the results of jobs itself, for as long as it is held. It is let go of when the process
/// dies, and then the session is woken after all.
#[derive(Debug)]
#[must_use = "the session is woken as soon as this is dropped"]
pub struct DeliveryHold {
    /// A file of each job, locked.
    held: Vec<(JobId, OwnedFd)>,
}

impl Homing {
    /// Holds back the wakes that would tell `reader` of these jobs, as far as they are its own. Acknowledge them before
    /// dropping what is returned.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// let hold = homing.hold_delivery(&[job.id], &job.session);
    /// homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// println!("{}", homing.result_text(job.id)?);
    /// homing.acknowledge(&[job.id])?;
    /// drop(hold);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_delivery(&self, jobs: &[JobId], reader: &SessionId) -> DeliveryHold {
        self.hold(jobs, reader, RECORD)
    }

    fn hold(&self, jobs: &[JobId], reader: &SessionId, name: &str) -> DeliveryHold {
        // Where this does not work, the worst that follows is that the session is told once more. So it may not use up
        // the descriptors that the wait itself needs.
        let held = jobs.iter().filter_map(|job| Some((*job, self.lock(*job, reader, name)?)));
        DeliveryHold { held: held.take(most_held()).collect() }
    }

    fn lock(&self, job: JobId, reader: &SessionId, name: &str) -> Option<OwnedFd> {
        let directory = self.home.jobs.open_job(job).ok()?;
        let spec = SpecFile::read(&directory).ok()??;
        let file = directory.open_to_read(name).ok()??;
        if spec.session != *reader {
            return None;
        }
        retry_on_intr(|| flock(&file, FlockOperation::LockShared)).ok()?;
        Some(file)
    }

    /// Holds back the monitor from telling `reader` of these jobs, for who will tell it himself of their ends. Unlike
    /// [`Homing::hold_delivery`] it holds back nobody else.
    pub(crate) fn reserve(&self, jobs: &[JobId], reader: &SessionId) -> DeliveryHold {
        self.hold(jobs, reader, SPEC)
    }

    /// Whether the session of a job that has just ended is reading its result itself.
    pub(crate) fn is_being_read(&self, job: JobId) -> bool {
        self.is_locked(job, RECORD) && self.ended_lately(job).unwrap_or(false)
    }

    /// Whether the monitor leaves a job that has just ended to somebody else.
    pub(crate) fn is_reserved(&self, job: JobId) -> bool {
        let is_theirs = self.is_locked(job, RECORD) || self.is_locked(job, SPEC);
        is_theirs && self.ended_lately(job).unwrap_or(false)
    }

    fn ended_lately(&self, job: JobId) -> Option<bool> {
        let job = self.with_ledger(|ledger| ledger.job(job)).ok()??.ok()?;
        let ended_at = job.state.finished()?.ended_at;
        Some(self.now().saturating_since(ended_at) < READING_TIMEOUT)
    }

    fn is_locked(&self, job: JobId, name: &str) -> bool {
        let Ok(Some(file)) = self.home.jobs.open_job(job).and_then(|directory| directory.open_to_read(name))
        else {
            return false;
        };
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
        unlock(&file);
        locked
    }
}

impl DeliveryHold {
    /// Whether this is for that job, among others.
    pub(crate) fn holds(&self, job: JobId) -> bool {
        self.held.iter().any(|(held, _)| *held == job)
    }

    /// Holds what `other` holds too.
    pub(crate) fn add(&mut self, mut other: DeliveryHold) {
        self.held.append(&mut other.held);
    }
}

impl Drop for DeliveryHold {
    fn drop(&mut self) {
        self.held.iter().for_each(|(_, file)| unlock(file));
    }
}

/// How many files may be held: half of what this process may have open (getrlimit(2)).
fn most_held() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit / 2).unwrap_or(usize::MAX)
}

/// Closing the file would not do: a process that another thread is just starting has a copy until it executes.
fn unlock(file: &OwnedFd) {
    let _ = flock(file, FlockOperation::Unlock);
}
