//! Where a process runs, and what would end it from there. launchd ends the process group of a service (`AbandonProcessGroup`,
//! launchd.plist(5)), and a supervisor has a session and a process group of its own. So there is nothing to do.

use std::path::PathBuf;

/// Where this process runs.
#[derive(Debug)]
pub struct Placement(());

impl Placement {
    /// Returns where this process runs.
    pub fn of_this_process() -> Placement {
        Placement(())
    }

    /// Moves this process to a place of its own. Changes nothing: it has left the process group of its launcher already.
    pub fn enter_own(&mut self, _name: &str, _description: &str) {}

    /// Returns the service whose end ends this process; `None`.
    pub fn service(&self) -> Option<String> {
        None
    }
}

/// Returns the directory in which each job gets its own group; `None`, because macOS has no groups of processes that it
/// ends as a whole.
pub fn group_directory() -> Option<PathBuf> {
    None
}

/// Whether a job that this process launches survives the service that this process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The service.
    pub unit: String,
    /// Whether jobs can leave it, or why not.
    pub manager: Result<(), String>,
}

/// Predicts whether a job survives the service of this process; `None`, because no service ends it.
pub fn availability() -> Option<Availability> {
    None
}
