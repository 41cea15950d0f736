//! Ensures that one process waits for the wakes of a session: the holder of a lock.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};

use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::lock::{self, Attempt};

use crate::harness::open_in;

/// The right to wait for a session. One process holds it, so that each turn of a long session does not add a waiter.
#[derive(Debug)]
pub(super) struct OnlyWaiter<'a> {
    home: &'a Directory,
    name: String,
    lock: File,
}

impl<'a> OnlyWaiter<'a> {
    /// Acquires the right to wait for a session of a harness; `None` if another process holds it.
    ///
    /// # Errors
    /// If the lock file cannot be opened or locked.
    pub(super) fn try_acquire(
        home: &'a Directory,
        harness: &str,
        session: &str,
    ) -> Result<Option<OnlyWaiter<'a>>, DiskError> {
        let mut hasher = DefaultHasher::new();
        // If the session moved to another process of its harness, the old waiter may not know yet.
        (session, open_in(harness, session)).hash(&mut hasher);
        let name = format!("waiting-{:016x}.lock", hasher.finish());
        let lock = home.open_or_create(&name)?;
        match lock::try_exclusive(&lock) {
            Ok(Attempt::Acquired) => Ok(Some(OnlyWaiter { home, name, lock })),
            Ok(Attempt::HeldByAnother) => Ok(None),
            Err(error) => Err(home.error("lock", &name, error)),
        }
    }
}

impl Drop for OnlyWaiter<'_> {
    fn drop(&mut self) {
        // Remove the file while the lock is held. A process that opened it earlier waits beside the next waiter:
        // harmless.
        let _ = self.home.remove_file(&self.name);
        lock::unlock(&self.lock);
    }
}
