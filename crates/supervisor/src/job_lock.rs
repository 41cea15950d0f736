//! Who looks after a job: whoever holds its lock. The kernel releases the lock when its holder dies, however it dies,
//! so this never has to be guessed from a pid. A lock file that somebody has removed says nothing of its holder: then the
//! recorded supervisor counts, if it lives and holds the job directory open.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, retry_on_intr};

use crate::DiskError;
use crate::layout::{Directory, LOCK};
use crate::unlinked::is_supervised;

/// The right to write a job's record. Released when dropped, or when this process dies.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct JobLock {
    file: OwnedFd,
}

impl JobLock {
    /// Whether somebody looks after the job now. Makes no lock file where there is none.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn is_held(directory: &Directory) -> Result<bool, DiskError> {
        let Some(file) = directory.open_to_read(LOCK)? else { return Ok(is_supervised(directory)) };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(is_supervised(directory)),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(directory.error("lock", LOCK, error)),
        }
    }

    /// Takes the lock if nobody looks after the job; `None` where somebody does.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn try_take(directory: &Directory) -> Result<Option<JobLock>, DiskError> {
        // Lock before asking: until then it was the supervisor that held it.
        Ok(JobLock::try_lock(directory)?.filter(|_| !is_supervised(directory)))
    }

    /// Takes the lock file if nobody holds it. Where the file was removed and made again, that says nothing of who looks
    /// after the job.
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
    /// Closing the file would not do: a process that another thread is just starting has a copy until it executes.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
