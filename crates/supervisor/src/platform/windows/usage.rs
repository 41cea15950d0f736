//! What a process uses.
#![allow(unsafe_code, reason = "GetProcessMemoryInfo has no safe wrapper")]

use std::mem::zeroed;
use std::time::Duration;

use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::PROCESS_QUERY_LIMITED_INFORMATION;

use super::process_list::{open, times};
use super::win32::{check, raw};
use crate::platform::ProcessUsage;

/// Returns what a process uses; `None` if it does not exist or this user may not ask.
pub fn of_process(pid: u32) -> Option<ProcessUsage> {
    let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    let [_, _, kernel, user] = times(&process).ok()?;
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).expect("the structure is small");
    // SAFETY: the handle is open and the structure is a live local, of which zeros are a valid value.
    let memory = unsafe {
        let mut memory: PROCESS_MEMORY_COUNTERS = zeroed();
        check(K32GetProcessMemoryInfo(raw(&process), &mut memory, size)).ok()?;
        memory
    };
    Some(ProcessUsage {
        cpu: Duration::from_nanos((kernel + user).saturating_mul(100)),
        ended_children: Duration::ZERO,
        memory_bytes: memory.WorkingSetSize as u64,
    })
}
