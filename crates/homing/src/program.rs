//! Which program becomes a job's supervisor.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use homing_supervisor::{
    DETACHED_ARGUMENT, LATE_ARGUMENT, MONITOR_ARGUMENT, SUPERVISE_ARGUMENT, Start, daemonize,
};

use crate::{Error, Result};

/// Names the program that supervises jobs.
pub const SUPERVISOR_VARIABLE: &str = "HOMING_SUPERVISOR";

/// Name of the program that is looked for where the host is none itself.
const PROGRAM: &str = "homing";

/// This process, as it was started: it stays the right program even when its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";

static HOST_CAN_SUPERVISE: AtomicBool = AtomicBool::new(false);

/// Makes this program fit to supervise the jobs it launches. Call it first thing in `main`: in a process that was
/// started as a supervisor, or as a monitor on demand, it does not return; in any other it returns at once.
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
    let is_ours =
        [MONITOR_ARGUMENT, SUPERVISE_ARGUMENT].iter().any(|ours| first.as_deref() == Some(OsStr::new(ours)));
    if is_ours && std::env::args_os().next_back().as_deref() == Some(OsStr::new(DETACHED_ARGUMENT)) {
        daemonize();
    }
    if first.as_deref() == Some(OsStr::new(MONITOR_ARGUMENT)) {
        HOST_CAN_SUPERVISE.store(true, Ordering::Relaxed);
        let done = crate::monitor::run_on_demand();
        if let Err(error) = &done {
            // Standard error is its log. Nobody is left to hear of a failure here.
            let _ = writeln!(std::io::stderr(), "{error}");
        }
        std::process::exit(if done.is_ok() { 0 } else { 1 });
    }
    if first.as_deref() != Some(OsStr::new(SUPERVISE_ARGUMENT)) {
        HOST_CAN_SUPERVISE.store(true, Ordering::Relaxed);
        return;
    }
    let supervised = arguments.next().map(|directory| {
        let is_late = arguments.next().as_deref() == Some(OsStr::new(LATE_ARGUMENT));
        let start = if is_late { Start::Late } else { Start::InTime };
        homing_supervisor::supervise(Path::new(&directory), start)
    });
    // Nobody reads what a supervisor says; its record and its exit status tell.
    std::process::exit(if matches!(supervised, Some(Ok(()))) { 0 } else { 1 });
}

/// Finds the program: the one that was set, the one that the environment names, this one if it can, one beside it, one
/// in `PATH`.
pub(crate) fn supervisor_program(set: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = set {
        return Ok(program.to_owned());
    }
    if let Some(program) = std::env::var_os(SUPERVISOR_VARIABLE) {
        return Ok(PathBuf::from(program));
    }
    if HOST_CAN_SUPERVISE.load(Ordering::Relaxed) {
        return Ok(PathBuf::from(THIS_PROGRAM));
    }
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.join(PROGRAM)));
    if let Some(program) = beside.filter(|program| program.is_file()) {
        return Ok(program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(PROGRAM))
        .find(|program| program.is_file())
        .ok_or_else(|| Error::NoSupervisorProgram {
            looked_for: format!("{SUPERVISOR_VARIABLE}, and {PROGRAM} beside this program and in PATH"),
        })
}
