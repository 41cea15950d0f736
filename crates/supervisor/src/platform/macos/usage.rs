//! What a process uses, as libproc shows it.

use super::{clock, libproc};
use crate::platform::ProcessUsage;

/// Returns what a process uses; `None` if it does not exist or belongs to another user.
pub fn of_process(pid: u32) -> Option<ProcessUsage> {
    let usage = libproc::usage(pid).ok()?;
    Some(ProcessUsage {
        cpu: clock::from_absolute_ticks(usage.ri_user_time + usage.ri_system_time),
        ended_children: clock::from_absolute_ticks(usage.ri_child_user_time + usage.ri_child_system_time),
        memory_bytes: usage.ri_resident_size,
    })
}
