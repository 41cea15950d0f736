//! Starts a monitor when a job is launched. It exits when no work is left.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::process::{Command, Stdio};

use homing_core::{FollowUpPolicy, Job};
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::spawn::set_name;
use homing_supervisor::{DiskError, JOB_VARIABLE, MONITOR_ARGUMENT};

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
        let log = match open_log(&self.store.home.root) {
            Ok(log) => Stdio::from(log),
            Err(_) => Stdio::null(),
        };
        let mut command = Command::new(&program);
        set_name(&mut command, "homing")
            .arg(MONITOR_ARGUMENT)
            .args(self.store.detached_argument())
            .env(HOME_VARIABLE, self.store.home.root.path())
            // The monitor does not belong to a job or to a session.
            .env_remove(JOB_VARIABLE)
            .env_remove(SESSION_VARIABLE)
            .env_remove(HARNESS_VARIABLE)
            .env_remove(WAKE_VARIABLE)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        for variable in harness_variables() {
            command.env_remove(variable);
        }
        let monitor =
            command.spawn().map_err(|source| crate::Error::SupervisorNotStarted { program, source })?;
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
