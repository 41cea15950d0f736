//! The lock of a job. Its holder supervises the job. The kernel releases the lock when the holder dies in any way, so
//! no pid has to be trusted. If the lock file was removed, the recorded supervisor counts as the holder while it is
//! running and has the job directory open.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::disk::directory::Directory;
use crate::disk::error::DiskError;
use crate::names::LOCK;
use crate::recover::unlinked::is_supervised;

/// The right to write the record of a job. Released on drop, or when this process dies.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct JobLock {
    file: OwnedFd,
}

impl JobLock {
    /// Whether a process holds the lock now. Does not create a missing lock file.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn is_held(directory: &Directory) -> Result<bool, DiskError> {
        let Some(file) = directory.open_to_read(LOCK)? else { return Ok(is_supervised(directory)) };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(is_supervised(directory)),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(directory.error("lock", LOCK, error)),
        }
    }

    /// Takes the lock; `None` if another process supervises the job.
    ///
    /// # Errors
    /// If the lock file cannot be opened.
    pub fn try_take(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
        // Lock before checking: the supervisor may release the lock between the two.
        Ok(JobLock::try_lock(directory)?.filter(|_| !is_supervised(directory)))
    }

    /// Locks the lock file if no process holds it. If the file was removed and created again, another process may
    /// still supervise the job.
    pub(crate) fn try_lock(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
        let file = directory.open_or_create(LOCK)?;
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(Some(JobLock { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(directory.error("lock", LOCK, error)),
        }
    }
}

impl Drop for JobLock {
    /// Unlocks explicitly, because a child that another thread has just forked keeps a copy of the descriptor until
    /// exec.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
