//! What the processes of a running job use now.

use std::time::Duration;

use crate::belongs::is_spared;
use crate::platform::{ProcessUsage, process, usage};

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

/// Adds up the processes below the supervisor with this pid, without other jobs that they launched; `None` if it has ended.
/// Check before that it runs, in this pid namespace.
pub fn usage_below(supervisor: u32) -> Option<TreeUsage> {
    let mut total = TreeUsage { cpu: usage::of_process(supervisor)?.ended_children, ..TreeUsage::default() };
    for (pid, _) in process::descendants(supervisor, |pid| !is_spared(pid)) {
        let Some(ProcessUsage { cpu, ended_children, memory_bytes }) = usage::of_process(pid) else {
            continue;
        };
        total.cpu += cpu + ended_children;
        total.memory_bytes += memory_bytes;
        total.processes += 1;
    }
    Some(total)
}
