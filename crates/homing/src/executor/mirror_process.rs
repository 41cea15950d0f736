//! Ensures one mirror for each executor: the holder of its lock. Starts one when it is needed.

use std::ffi::OsStr;
use std::fs::File;

use homing_supervisor::layout::Directory;
use homing_supervisor::platform::lock::{self, Attempt};
use homing_supervisor::{DiskError, MIRROR_ARGUMENT};

use super::directory::{directory_of_executors, existing_directory};
use crate::Result;
use crate::context::Context;
use crate::store::background::open_log;

/// The right to write the records of the jobs of an executor.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct MirrorLock {
    file: File,
}

impl MirrorLock {
    /// Acquires the lock if it is free.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(crate) fn try_acquire(home: &Directory, executor: &str) -> Result<Option<MirrorLock>, DiskError> {
        let (directory, name) = (directory_of_executors(home)?, name_of(executor));
        let file = directory.open_or_create(&name)?;
        match lock::try_exclusive(&file) {
            Ok(Attempt::Acquired) => Ok(Some(MirrorLock { file })),
            Ok(Attempt::HeldByAnother) => Ok(None),
            Err(error) => Err(directory.error("lock", &name, error)),
        }
    }

    /// Whether a mirror runs.
    pub(crate) fn is_held(home: &Directory, executor: &str) -> bool {
        let file =
            existing_directory(home).and_then(|directory| directory.open_to_read(&name_of(executor)).ok()?);
        file.is_some_and(|file| matches!(lock::try_shared(&file), Ok(Attempt::HeldByAnother)))
    }
}

impl Drop for MirrorLock {
    fn drop(&mut self) {
        lock::unlock(&self.file);
    }
}

fn name_of(executor: &str) -> String {
    format!("{executor}.lock")
}

impl Context {
    /// Starts the mirror of an executor if none runs. It exits when the executor has no unfinished job of this home.
    pub(crate) fn start_mirror_if_needed(&self, executor: &str) -> Result<()> {
        if MirrorLock::is_held(&self.store.home.root, executor) {
            return Ok(());
        }
        let arguments = [OsStr::new(MIRROR_ARGUMENT), OsStr::new(executor)];
        let directory = directory_of_executors(&self.store.home.root)?;
        self.store.start_background(&arguments, open_log(&directory, &format!("{executor}.log")).ok())
    }
}
