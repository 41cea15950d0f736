//! The entry point of processes that are started as a supervisor or as an on-demand monitor.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use homing_core::Timestamp;
use homing_supervisor::platform::placement::Placement;
use homing_supervisor::platform::{clock, spawn};
use homing_supervisor::{
    ATTACHED_ARGUMENT, DETACHED_ARGUMENT, LATE_ARGUMENT, MONITOR_ARGUMENT, SPLIT_ARGUMENT,
    SUPERVISE_ARGUMENT, Start, Streams, daemonize,
};

use crate::Result;
use crate::delivery::monitor::{MonitorEvent, MonitorOptions, MonitorUntil};
use crate::homing::OpenOptions;
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
    let has_role =
        [MONITOR_ARGUMENT, SUPERVISE_ARGUMENT].iter().any(|role| first.as_deref() == Some(OsStr::new(role)));
    if has_role && std::env::args_os().next_back().as_deref() == Some(OsStr::new(DETACHED_ARGUMENT)) {
        daemonize();
    }
    if first.as_deref() == Some(OsStr::new(MONITOR_ARGUMENT)) {
        can_supervise();
        let done = run_monitor_on_demand();
        if let Err(error) = &done {
            // Standard error is its log. A failure to write there cannot be reported.
            let _ = writeln!(io::stderr(), "{error}");
        }
        std::process::exit(if done.is_ok() { 0 } else { 1 });
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
