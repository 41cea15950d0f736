//! The job object of a job, as other processes find it: by the name in the record. It exists as long as the supervisor or
//! a process that has opened it. When the supervisor dies, the system ends all processes in it.

use std::sync::atomic::{AtomicU32, Ordering};

use homing_core::JobId;

use super::ProcessIdentity;
use super::job_object::JobObject;

/// Returns a name for the job object of a job. The pid and the creation time of its supervisor, and a number for each call,
/// make it unique. It is found from all sessions of the user.
pub(super) fn job_name(id: JobId, supervisor: &ProcessIdentity) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{}-{number}", prefix(id), supervisor.pid, supervisor.start_ticks)
}

fn prefix(id: JobId) -> String {
    format!(r"Global\homing-job-{id}")
}

/// The job object of one job.
#[derive(Debug)]
pub struct Group {
    job: JobObject,
}

impl Group {
    /// Returns the recorded group of a job if it still exists.
    pub fn existing(name: &str, id: JobId) -> Option<Group> {
        let is_group_of_job = name.strip_prefix(&prefix(id)).is_some_and(|rest| rest.starts_with('-'));
        let job = is_group_of_job.then(|| JobObject::open(name).ok())??;
        Some(Group { job })
    }

    /// Returns the processes in it.
    pub fn members(&self) -> Vec<u32> {
        self.job.pids().unwrap_or_default()
    }

    /// Does nothing: a process cannot leave a job object. A process inside ends with the supervisor of the job, so none
    /// can recover the job.
    pub fn step_out(&self) {}

    /// Ends every process in it, atomically.
    pub fn kill(&self) {
        // If the system refuses, the caller ends the processes one by one.
        let _ = self.job.terminate();
    }

    /// Whether it contains processes.
    pub fn is_populated(&self) -> bool {
        self.job.active_processes().is_ok_and(|active| active > 0)
    }

    /// Does nothing: the system removes it when it is empty and nobody has it open.
    pub fn remove(&self) {}
}

/// Does nothing: the system removes job objects that nobody uses.
pub fn remove_abandoned() {}
