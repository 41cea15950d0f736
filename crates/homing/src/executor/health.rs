//! Whether an executor is heard of: a small file that its mirror writes.

use std::io::Write;

use homing_core::Timestamp;
use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::executor::directory::{directory_of_executors, existing_directory};
use crate::executor::mirror_process::MirrorLock;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What is known about the connection to an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutorHealth {
    /// Whether there is a connection now.
    pub connected: bool,
    /// When it was heard of last. While there is a connection, it is at most 45 s silent.
    pub heard_at: Option<Timestamp>,
    /// Why the last attempt to reach it failed.
    pub problem: Option<String>,
    /// The version of the program there.
    pub version: Option<String>,
}

impl ExecutorHealth {
    /// Writes it for readers.
    ///
    /// # Errors
    /// If the home cannot be written to.
    pub(crate) fn write(&self, home: &Directory, executor: &str) -> Result<(), DiskError> {
        let directory = directory_of_executors(home)?;
        let (name, new) = (format!("{executor}.json"), format!("{executor}.json.new"));
        directory.remove_file(&new)?;
        let text = serde_json::to_vec(self).map_err(|error| directory.error("write", &new, error))?;
        directory.create(&new)?.write_all(&text).map_err(|error| directory.error("write", &new, error))?;
        let handle = directory.handle();
        handle.rename(&new, handle, &name).map_err(|error| directory.error("write", &name, error))
    }

    fn read(home: &Directory, executor: &str) -> Option<ExecutorHealth> {
        let directory = existing_directory(home)?;
        let text = directory.read_bounded(&format!("{executor}.json"), MAX_BYTES).ok()??;
        serde_json::from_slice(&text).ok()
    }
}

/// The copy of this program on an executor that `homing setup-host` made.
pub(crate) fn copied_program(home: &Directory, executor: &str) -> Option<String> {
    let directory = existing_directory(home)?;
    let text = directory.read_bounded(&format!("{executor}.program"), MAX_BYTES).ok()??;
    String::from_utf8(text).ok().filter(|path| path.starts_with("~/"))
}

/// Notes the copy of this program on an executor.
pub(crate) fn note_copied_program(home: &Directory, executor: &str, path: &str) -> Result<(), DiskError> {
    let directory = directory_of_executors(home)?;
    let name = format!("{executor}.program");
    let file = directory.open_or_create(&name)?;
    let written = file.set_len(0).and_then(|()| (&file).write_all(path.as_bytes()));
    written.map_err(|error| directory.error("write", &name, error))
}

impl Context {
    /// What is known about the connection to an executor; `None` if there was none yet.
    pub(crate) fn executor_health(&self, executor: &str) -> Option<ExecutorHealth> {
        let home = &self.store.home.root;
        let mut health = ExecutorHealth::read(home, executor)?;
        // A mirror that was killed has not written that it is gone.
        health.connected &= MirrorLock::is_held(home, executor);
        Some(health)
    }
}
