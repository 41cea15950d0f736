//! Groups of processes that the system ends as a whole. macOS has none, so no job has one.

use homing_core::JobId;

/// A group of processes. It cannot exist.
#[derive(Debug)]
pub enum Group {}

impl Group {
    /// Opens the group of a job by its recorded name; `None`, because there are none.
    pub fn existing(_name: &str, _id: JobId) -> Option<Group> {
        None
    }

    /// Returns its processes.
    pub fn members(&self) -> Vec<u32> {
        match *self {}
    }

    /// Leaves the group, if this process is in it.
    pub fn step_out(&self) {
        match *self {}
    }

    /// Ends all its processes.
    pub fn kill(&self) {
        match *self {}
    }

    /// Whether it has processes.
    pub fn is_populated(&self) -> bool {
        match *self {}
    }

    /// Removes it when it is empty.
    pub fn remove(&self) {
        match *self {}
    }
}

/// Removes the groups of jobs whose supervisors have died. Does nothing.
pub fn remove_abandoned() {}
