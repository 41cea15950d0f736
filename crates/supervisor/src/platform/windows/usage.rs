//! What a process uses.
#![allow(unsafe_code, reason = "GetProcessTimes and GetProcessMemoryInfo have no safe wrapper")]

use std::mem::zeroed;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetProcessTimes, PROCESS_QUERY_LIMITED_INFORMATION};

use super::process_list::open;
use super::win32::{check, raw};
use crate::platform::ProcessUsage;

/// Returns what a process uses; `None` if it does not exist or this user may not ask.
pub fn of_process(pid: u32) -> Option<ProcessUsage> {
    let process = open(pid, PROCESS_QUERY_LIMITED_INFORMATION).ok()?;
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).expect("the structure is small");
    // SAFETY: the handle is open and the structures are live locals, of which zeros are valid values.
    let (kernel, user, memory) = unsafe {
        let [mut creation, mut exit, mut kernel, mut user]: [FILETIME; 4] = zeroed();
        check(GetProcessTimes(raw(&process), &mut creation, &mut exit, &mut kernel, &mut user)).ok()?;
        let mut memory: PROCESS_MEMORY_COUNTERS = zeroed();
        check(K32GetProcessMemoryInfo(raw(&process), &mut memory, size)).ok()?;
        (kernel, user, memory)
    };
    Some(ProcessUsage {
        cpu: duration(kernel) + duration(user),
        ended_children: Duration::ZERO,
        memory_bytes: memory.WorkingSetSize as u64,
    })
}

/// A duration in units of 100 ns.
fn duration(time: FILETIME) -> Duration {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_nanos(units.saturating_mul(100))
}
