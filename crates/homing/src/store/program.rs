//! Which program becomes a job's supervisor.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result};

/// Names the program that supervises jobs.
pub const SUPERVISOR_VARIABLE: &str = "HOMING_SUPERVISOR";

/// Name of the program that is looked for where the host is none itself.
const PROGRAM: &str = "homing";

/// This process, as it was started: it stays the right program even when its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Set by [`can_supervise`].
static HOST_CAN_SUPERVISE: AtomicBool = AtomicBool::new(false);

/// Notes that this process can be started again as a supervisor.
pub(crate) fn can_supervise() {
    HOST_CAN_SUPERVISE.store(true, Ordering::Relaxed);
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
