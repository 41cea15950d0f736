//! Asks the system through `sysinfo`, on systems without `/proc`.

use std::ffi::OsString;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::description::Process;

pub(super) fn processes() -> Vec<Process> {
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always).with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let lives = |process: &&sysinfo::Process| {
        !matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead)
    };
    system.processes().values().filter(lives).map(described).collect()
}

fn described(process: &sysinfo::Process) -> Process {
    let text = |parts: &[OsString]| -> Vec<String> {
        parts.iter().map(|part| part.to_string_lossy().into_owned()).collect()
    };
    let pid = process.pid().as_u32();
    let mut command_line = text(process.cmd()).join(" ");
    if command_line.is_empty() {
        command_line = from_memory(pid);
    }
    Process { pid, command_line, environment: text(process.environ()) }
}

#[cfg(windows)]
fn from_memory(pid: u32) -> String {
    super::command_line::command_line(pid).unwrap_or_default()
}

#[cfg(not(windows))]
fn from_memory(_: u32) -> String {
    String::new()
}

pub(super) fn kill(pid: u32) {
    let mut system = System::new();
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    if let Some(process) = system.process(pid) {
        process.kill();
    }
}
