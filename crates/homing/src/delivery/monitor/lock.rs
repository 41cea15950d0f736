//! Ensures one active monitor per home: the holder of the lock. The kernel releases the lock when the holder dies.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use homing_supervisor::layout::{Directory, MONITOR_LOCK};
use homing_supervisor::platform::errors;
use homing_supervisor::platform::lock::{self, Attempt};
use homing_supervisor::{DiskError, injected_millis};

/// The right to wake the sessions of a home.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(super) struct MonitorLock {
    file: File,
}

impl MonitorLock {
    /// Acquires the lock if it is free.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn try_acquire(home: &Directory) -> Result<Option<MonitorLock>, DiskError> {
        let file = home.open_or_create(MONITOR_LOCK)?;
        match lock::try_exclusive(&file) {
            Ok(Attempt::Acquired) => Ok(Some(MonitorLock { file }.signed())),
            Ok(Attempt::HeldByAnother) => Ok(None),
            Err(error) => Err(home.error("lock", MONITOR_LOCK, error)),
        }
    }

    /// Waits for the lock in a separate thread, and passes the lock or the error to `then`, unless `cancelled` is set
    /// by then.
    ///
    /// # Errors
    /// If the file cannot be opened, or no thread can be started.
    pub(super) fn wait(
        home: &Directory,
        cancelled: Arc<AtomicBool>,
        then: impl FnOnce(Result<MonitorLock, DiskError>) + Send + 'static,
    ) -> Result<(), DiskError> {
        let file = home.open_or_create(MONITOR_LOCK)?;
        let path = home.path().join(MONITOR_LOCK);
        let wait = move || {
            let locked = match injected_millis("monitor/lock_error") {
                Some(_) => Err(errors::no_locks()),
                None => lock::exclusive(&file),
            };
            if !cancelled.load(Ordering::Relaxed) {
                then(match locked {
                    Ok(()) => Ok(MonitorLock { file }.signed()),
                    Err(error) => Err(DiskError::new("lock", path, error)),
                });
            }
        };
        let thread = std::thread::Builder::new().name("homing-standby".to_owned()).spawn(wait);
        thread.map(drop).map_err(|error| DiskError::new("start", "a thread", error))
    }

    /// The process that holds the lock, or 0 if it has not written its id yet. `None` if the lock is free.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(super) fn holder(home: &Directory) -> Result<Option<u32>, DiskError> {
        let Some(mut file) = home.open_to_read(MONITOR_LOCK)? else { return Ok(None) };
        match lock::try_shared(&file) {
            Ok(Attempt::Acquired) => Ok(None),
            Ok(Attempt::HeldByAnother) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Ok(Some(text.trim().parse().unwrap_or(0)))
            }
            Err(error) => Err(home.error("lock", MONITOR_LOCK, error)),
        }
    }

    /// Writes the holder's process id. It is for people only, so a full disk does not matter.
    fn signed(mut self) -> MonitorLock {
        let _ = self.file.set_len(0);
        let _ = self.file.rewind();
        let _ = writeln!(self.file, "{}", std::process::id());
        self
    }
}

impl Drop for MonitorLock {
    fn drop(&mut self) {
        lock::unlock(&self.file);
    }
}
