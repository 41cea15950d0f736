//! The lock of a job. Its holder supervises the job. The kernel releases the lock when the holder dies in any way, so
//! no pid has to be trusted. If the lock file was removed, the recorded supervisor counts as the holder while it is
//! running and has the job directory open.

use std::fs::File;

use crate::disk::directory::Directory;
use crate::disk::error::DiskError;
use crate::disk::record::Record;
use crate::names::LOCK;
use crate::platform::clock;
use crate::platform::lock::{Attempt, try_exclusive, try_shared, unlock};

/// The right to write the record of a job. Released on drop, or when this process dies.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct JobLock {
    file: File,
}

impl JobLock {
    /// Whether a process holds the lock now. Does not create a missing lock file.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn is_held(directory: &Directory) -> Result<bool, DiskError> {
        let Some(file) = directory.open_to_read(LOCK)? else { return Ok(is_supervised(directory)) };
        match try_shared(&file).map_err(|e| directory.error("lock", LOCK, e))? {
            Attempt::Acquired => Ok(is_supervised(directory)),
            Attempt::HeldByAnother => Ok(true),
        }
    }

    /// Acquires the lock; `None` if another process supervises the job.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn try_acquire(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
        // Lock before checking: the supervisor may release the lock between the two.
        Ok(JobLock::try_lock(directory)?.filter(|_| !is_supervised(directory)))
    }

    /// Locks the lock file if no process holds it. If the file was removed and created again, another process may
    /// still supervise the job.
    pub(crate) fn try_lock(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
        let file = directory.open_or_create(LOCK)?;
        match try_exclusive(&file).map_err(|e| directory.error("lock", LOCK, e))? {
            Attempt::Acquired => Ok(Some(JobLock { file })),
            Attempt::HeldByAnother => Ok(None),
        }
    }
}

impl Drop for JobLock {
    /// Unlocks explicitly, because a child that another thread has just forked keeps a copy of the descriptor until
    /// exec.
    fn drop(&mut self) {
        unlock(&self.file);
    }
}

/// Whether the recorded supervisor is running and has the job's directory open. It then supervises the job, even if
/// its lock file was removed.
fn is_supervised(directory: &Directory) -> bool {
    let record = Record::open_to_read(directory).ok().flatten().and_then(|record| record.read().ok());
    let Some(started) = record.and_then(|content| content.started.into_valid()) else { return false };
    let Some(identity) = directory.identity() else { return false };
    // After a reboot, the pid belongs to another process.
    if clock::boot_id().is_ok_and(|boot_id| boot_id != started.run_by.boot_id) {
        return false;
    }
    started.supervisor.holds_open(identity)
}
