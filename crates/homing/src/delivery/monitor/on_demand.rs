//! Starts a monitor when a job is launched. It exits when no work is left.

use std::ffi::OsStr;

use homing_core::{FollowUpPolicy, Job};
use homing_supervisor::MONITOR_ARGUMENT;

use crate::context::Context;
use crate::delivery::routes::{Addressee, has_route};
use crate::harness::preset_names;
use crate::store::background::open_log;
use crate::{Origin, Result};

/// The log of on-demand monitors.
const MONITOR_LOG: &str = "monitor.log";

impl Context {
    /// Starts a monitor in the background for a launched job. Does so only if the job has a follow-up, its session
    /// has a route to a sink, no monitor is running, and `monitor.autostart` is true. Returns whether it started one.
    /// A home that was opened with a configuration of the host's own starts none: the host runs its own monitor.
    pub(crate) fn start_monitor_if_needed(&self, job: &Job) -> Result<bool> {
        let is_wanted = job.follow_up_policy != FollowUpPolicy::Never && self.starts_monitors();
        if !is_wanted || !has_route(self.config(), Addressee::of(job)) || self.active_monitor()?.is_some() {
            return Ok(false);
        }
        // If another file type is in its place, nothing is logged: the monitor moves it away.
        let log = open_log(&self.store.home.root, MONITOR_LOG).ok();
        self.store.start_background(&[OsStr::new(MONITOR_ARGUMENT)], log)?;
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
