//! Where a process runs, and what would end it from there: a job object of the program that started it.

use std::path::PathBuf;

use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_BREAKAWAY_OK, JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
};

use super::job_object::{is_this_process_inside_one, limits_of_this_process};

/// How the record and messages name a job object, which has no name that tells people something.
const JOB_OBJECT: &str = "a job object of another program";

/// Where this process runs.
#[derive(Debug)]
pub struct Placement {
    is_in_job_object: bool,
}

impl Placement {
    /// Returns where this process runs. A process cannot leave a job object, so supervisors are started outside
    /// ([`spawn::start`](super::spawn::start)).
    pub fn of_this_process() -> Placement {
        Placement { is_in_job_object: is_this_process_inside_one() }
    }

    /// Does nothing: Windows has no service manager that gives a process a group of its own.
    pub fn enter_own(&mut self, _name: &str, _description: &str) {}

    /// Returns what may end this process with the program that started it, for the record: a job object that this process
    /// is in.
    pub fn service(&self) -> Option<String> {
        self.is_in_job_object.then(|| JOB_OBJECT.to_owned())
    }
}

/// Returns the directory for groups of jobs: none, job objects are not files.
pub fn group_directory() -> Option<PathBuf> {
    None
}

/// A job object that this process is in, and what it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForeignJob {
    /// Processes may be started outside of it, but perhaps inside of another one around it.
    pub(super) allows_breakaway: bool,
}

/// Returns the innermost job object that this process is in; `None` if it is in none.
pub(super) fn foreign_job() -> Option<ForeignJob> {
    if !is_this_process_inside_one() {
        return None;
    }
    // If the system does not say, assume the worse.
    let limits = limits_of_this_process().unwrap_or(0);
    let breakaway = JOB_OBJECT_LIMIT_BREAKAWAY_OK | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    Some(ForeignJob { allows_breakaway: limits & breakaway != 0 })
}
