//! The entry point of processes that are started as a supervisor or as an on-demand monitor.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use homing_core::Timestamp;
use homing_supervisor::platform::placement::Placement;
use homing_supervisor::platform::{clock, spawn};
use homing_supervisor::{
    ATTACHED_ARGUMENT, DETACHED_ARGUMENT, EXECUTOR_ARGUMENT, LATE_ARGUMENT, MIRROR_ARGUMENT,
    MONITOR_ARGUMENT, SPLIT_ARGUMENT, SUPERVISE_ARGUMENT, Start, Streams, daemonize,
};

use crate::Result;
use crate::delivery::monitor::{MonitorEvent, MonitorOptions, MonitorUntil};
use crate::homing::OpenOptions;
use crate::mirror::at_home::mirror;
use crate::mirror::there::serve_executor;
use crate::store::program::can_supervise;

/// Lets this program supervise the jobs that it launches. Call it first in `main`. It does not return in a process that
/// was started as a supervisor or as an on-demand monitor; in any other process it returns at once.
///
/// ```
/// // The first line of `main`:
/// homing::supervise_if_asked();
/// // … the program itself
/// ```
pub fn supervise_if_asked() {
    homing_supervisor::arm_crash_points();
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next();
    let has_role = [MIRROR_ARGUMENT, MONITOR_ARGUMENT, SUPERVISE_ARGUMENT]
        .iter()
        .any(|role| first.as_deref() == Some(OsStr::new(role)));
    if has_role && std::env::args_os().next_back().as_deref() == Some(OsStr::new(DETACHED_ARGUMENT)) {
        daemonize();
    }
    match first.as_deref().and_then(OsStr::to_str) {
        Some(MONITOR_ARGUMENT) => run_and_exit(run_monitor_on_demand),
        Some(MIRROR_ARGUMENT) => {
            let executor = arguments.next().and_then(|name| name.into_string().ok()).unwrap_or_default();
            run_and_exit(|| run_mirror(&executor));
        }
        Some(EXECUTOR_ARGUMENT) => run_and_exit(|| serve_executor(OpenOptions::new().open()?.into_context())),
        Some(_) | None => {}
    }
    if first.as_deref() != Some(OsStr::new(SUPERVISE_ARGUMENT)) {
        can_supervise();
        return;
    }
    let supervised = arguments.next().map(|directory| {
        let (mut start, mut attached) = (Start::InTime, None);
        for argument in arguments {
            match argument.to_str() {
                Some(LATE_ARGUMENT) => start = Start::Late,
                Some(ATTACHED_ARGUMENT) => attached = Some(Streams::Merged),
                Some(SPLIT_ARGUMENT) => attached = Some(Streams::Split),
                _ => {}
            }
        }
        homing_supervisor::supervise(Path::new(&directory), start, attached)
    });
    // A supervisor reports by its record and its exit status.
    std::process::exit(if matches!(supervised, Some(Ok(()))) { 0 } else { 1 });
}

/// Runs this process in a role that can launch jobs, and ends it.
fn run_and_exit(role: impl FnOnce() -> Result<()>) {
    can_supervise();
    let done = role();
    if let Err(error) = &done {
        // Standard error is its log. A failure to write there cannot be reported.
        let _ = writeln!(io::stderr(), "{error}");
    }
    std::process::exit(if done.is_ok() { 0 } else { 1 });
}

/// Runs the mirror of an executor until it has no unfinished job of this home.
///
/// # Errors
/// If the home cannot be used, or the executor is not configured.
fn run_mirror(executor: &str) -> Result<()> {
    spawn::leave_session();
    let name = format!("mirror-{}", std::process::id());
    Placement::of_this_process().enter_own(&name, "homing, jobs on another machine");
    mirror(&OpenOptions::new().open()?.into_context(), executor)
}

/// Runs a monitor until no work is left. It writes its events to standard error, which is the log.
///
/// # Errors
/// If the home cannot be used.
fn run_monitor_on_demand() -> Result<()> {
    spawn::leave_session();
    // The service that started it may stop before the monitor has work.
    let name = format!("monitor-{}", std::process::id());
    Placement::of_this_process().enter_own(&name, "homing monitor, started on demand");
    let homing = OpenOptions::new().open()?;
    let options = MonitorOptions::new().until(MonitorUntil::Idle).observe(move |event| {
        if !matches!(event, MonitorEvent::Alive) {
            // A failure to write the log cannot be reported.
            let _ = writeln!(io::stderr(), "{} {event}", Timestamp::from_unix_millis(clock::wall_millis()));
        }
    });
    homing.monitor(options)?.run().map(drop)
}
