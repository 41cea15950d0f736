//! Finds and kills processes without code of homing, so that tests do not depend on the code they test.

#[cfg(windows)]
mod command_line;
mod description;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

pub use description::Process;

/// Returns all processes that have not ended and for which `wanted` returns true.
pub fn processes_where(wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    system::processes().into_iter().filter(|process| wanted(process)).collect()
}

/// Kills one process, and none that it started: SIGKILL, or TerminateProcess on Windows. A process that has ended is
/// left alone.
pub fn kill(pid: u32) {
    system::kill(pid);
}
