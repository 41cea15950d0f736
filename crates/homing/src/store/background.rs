//! Starts a process that works for the home in the background: a monitor, or the mirror of an executor.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom};

use homing_supervisor::layout::Directory;
use homing_supervisor::platform::spawn::{DetachedError, DetachedInput, DetachedProgram, start};
use homing_supervisor::{DiskError, JOB_VARIABLE, PROCESS_NAME};

use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE, harness_variables};
use crate::store::home::HOME_VARIABLE;
use crate::store::job_store::JobStore;
use crate::store::program::supervisor_program;
use crate::store::started::StartedProcess;
use crate::{Error, Result};

/// A longer log is truncated, in bytes.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// Opens a log for appending.
///
/// # Errors
/// If it is not a regular file, or cannot be opened.
pub(crate) fn open_log(directory: &Directory, name: &str) -> Result<File, DiskError> {
    let mut log = directory.open_or_create(name)?;
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    if length > MAX_LOG_BYTES {
        log.set_len(0).map_err(|e| directory.error("shorten", name, e))?;
    }
    log.seek(SeekFrom::End(0)).map_err(|e| directory.error("open", name, e))?;
    Ok(log)
}

impl JobStore {
    /// Starts the supervisor program with these arguments, for this home. It belongs to no job and to no session. Its standard
    /// error is the log, if there is one.
    pub(crate) fn start_background(&self, arguments: &[&OsStr], log: Option<File>) -> Result<()> {
        let program = supervisor_program(self.supervisor.as_deref())?;
        let foreign = [JOB_VARIABLE, SESSION_VARIABLE, HARNESS_VARIABLE, WAKE_VARIABLE];
        let removed = foreign.into_iter().chain(harness_variables()).map(|variable| (variable, None));
        let home = (HOME_VARIABLE, Some(self.home.root.path().as_os_str()));
        let mut arguments = arguments.to_vec();
        arguments.extend(self.detached_argument().map(OsStr::new));
        let started = start(DetachedProgram {
            program: &program,
            name: PROCESS_NAME,
            arguments: &arguments,
            variables: &removed.chain([home]).collect::<Vec<_>>(),
            stdin: DetachedInput::Null,
            stdout: None,
            stderr: log.map_or(DetachedError::Null, DetachedError::Log),
        })
        .map_err(|source| Error::SupervisorNotStarted { program, source })?;
        self.keep_child(StartedProcess::Program(started));
        Ok(())
    }
}
