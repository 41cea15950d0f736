//! What the processes of a running job use now.

use std::time::Duration;

use crate::belongs::is_spared;
use crate::platform::{ProcessIdentity, ProcessUsage, process, usage};

/// What all processes of a job use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeUsage {
    /// Processor time since the job started. On Windows without that of processes that have ended.
    pub cpu: Duration,
    /// Memory in RAM, in bytes. Memory that processes share counts in each of them.
    pub memory_bytes: u64,
    /// The number of processes.
    pub processes: u32,
}

/// Adds up the processes below a supervisor, without other jobs that they launched; `None` if it does not run. Call this in the
/// pid namespace of the supervisor.
pub fn usage_below(supervisor: &ProcessIdentity) -> Option<TreeUsage> {
    if !supervisor.is_running() {
        return None;
    }
    let mut total =
        TreeUsage { cpu: usage::of_process(supervisor.pid)?.ended_children, ..TreeUsage::default() };
    for (pid, _) in process::descendants(supervisor.pid, |pid| !is_spared(pid)) {
        let Some(ProcessUsage { cpu, ended_children, memory_bytes }) = usage::of_process(pid) else {
            continue;
        };
        total.cpu += cpu + ended_children;
        total.memory_bytes += memory_bytes;
        total.processes += 1;
    }
    Some(total)
}
