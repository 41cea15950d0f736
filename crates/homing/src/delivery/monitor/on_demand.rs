//! Starts a monitor when a job is launched. It exits when no work is left.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, SeekFrom};

use homing_core::{FollowUpPolicy, Job};
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::spawn::{DetachedError, DetachedInput, DetachedProgram, start};
use homing_supervisor::{DiskError, JOB_VARIABLE, MONITOR_ARGUMENT, PROCESS_NAME};

use crate::context::Context;
use crate::delivery::routes::{Addressee, has_route};
use crate::harness::preset_names;
use crate::harness::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE, harness_variables};
use crate::store::home::HOME_VARIABLE;
use crate::store::program::supervisor_program;
use crate::store::started::StartedProcess;
use crate::{Origin, Result};

/// The log of on-demand monitors.
const MONITOR_LOG: &str = "monitor.log";

/// A longer log is truncated, in bytes.
const MAX_LOG_BYTES: u64 = 1 << 20;

impl Context {
    /// Starts a monitor in the background for a launched job. Does so only if the job has a follow-up, its session
    /// has a route to a sink, no monitor is running, and `monitor.autostart` is true. Returns whether it started one.
    /// A home that was opened with a configuration of the host's own starts none: the host runs its own monitor.
    pub(crate) fn start_monitor_if_needed(&self, job: &Job) -> Result<bool> {
        let is_wanted = job.follow_up_policy != FollowUpPolicy::Never && self.starts_monitors();
        if !is_wanted || !has_route(self.config(), Addressee::of(job)) || self.active_monitor()?.is_some() {
            return Ok(false);
        }
        let program = supervisor_program(self.store.supervisor.as_deref())?;
        // If another file type is in its place, nothing is logged: the monitor moves it away.
        let stderr = open_log(&self.store.home.root).map_or(DetachedError::Null, DetachedError::Log);
        // The monitor does not belong to a job or to a session.
        let foreign = [JOB_VARIABLE, SESSION_VARIABLE, HARNESS_VARIABLE, WAKE_VARIABLE];
        let removed = foreign.into_iter().chain(harness_variables()).map(|variable| (variable, None));
        let home = (HOME_VARIABLE, Some(self.store.home.root.path().as_os_str()));
        let mut arguments = vec![OsStr::new(MONITOR_ARGUMENT)];
        arguments.extend(self.store.detached_argument().map(OsStr::new));
        let monitor = start(DetachedProgram {
            program: &program,
            name: PROCESS_NAME,
            arguments: &arguments,
            variables: &removed.chain([home]).collect::<Vec<_>>(),
            stdin: DetachedInput::Null,
            stdout: None,
            stderr,
        })
        .map_err(|source| crate::Error::SupervisorNotStarted { program, source })?;
        self.store.keep_child(StartedProcess::Program(monitor));
        Ok(true)
    }

    /// The preset that wakes a session of that origin if the configuration does not mention waking at all. Front ends
    /// that the user set up in a harness use it to get results delivered. `None` if the configuration has any such
    /// setting, including `monitor.autostart = false`.
    pub(crate) fn preset_unless_configured(&self, origin: &Origin) -> Option<&'static str> {
        let is_open = self.starts_monitors() && self.config().leaves_waking_open();
        preset_names().find(|name| is_open && Some(*name) == origin.harness.as_deref())
    }

    /// Whether a launch starts a monitor in this home if none is active.
    pub(crate) fn starts_monitors(&self) -> bool {
        self.config().monitor.autostart
            && self.store.loaded.is_the_users
            && self.store.loaded.refusal.is_none()
    }
}

/// Opens the log for appending.
fn open_log(home: &Directory) -> Result<File, DiskError> {
    let mut log = home.open_or_create(MONITOR_LOG)?;
    let length = log.metadata().map_or(0, |metadata| metadata.len());
    if length > MAX_LOG_BYTES {
        log.set_len(0).map_err(|e| home.error("shorten", MONITOR_LOG, e))?;
    }
    log.seek(SeekFrom::End(0)).map_err(|e| home.error("open", MONITOR_LOG, e))?;
    Ok(log)
}
