//! Finds the program that supervises jobs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use homing_supervisor::platform::spawn::this_program;

use crate::{Error, Result};

/// The environment variable with the path of the supervisor program.
pub const SUPERVISOR_VARIABLE: &str = "HOMING_SUPERVISOR";

/// The program to search for if the host cannot supervise jobs itself.
const PROGRAM: &str = "homing";

/// Set by [`can_supervise`].
static HOST_CAN_SUPERVISE: AtomicBool = AtomicBool::new(false);

/// Registers this program as able to run as a supervisor.
pub(crate) fn can_supervise() {
    HOST_CAN_SUPERVISE.store(true, Ordering::Relaxed);
}

/// Finds the program, in this order: the one that was set, the one that the environment names, this one if it can
/// supervise, `homing` in its directory, `homing` in `PATH`.
pub(crate) fn supervisor_program(set: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = set {
        return Ok(program.to_owned());
    }
    if let Some(program) = std::env::var_os(SUPERVISOR_VARIABLE) {
        return Ok(PathBuf::from(program));
    }
    if HOST_CAN_SUPERVISE.load(Ordering::Relaxed) {
        return Ok(this_program());
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
            looked_for: format!(
                "{SUPERVISOR_VARIABLE}; {PROGRAM} in the directory of this program and in PATH"
            ),
        })
}
