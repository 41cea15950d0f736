//! Reads `/proc`.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::description::Process;

pub(super) fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(look_up).collect()
}

fn look_up(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
    if matches!(state, 'Z' | 'X') {
        return None;
    }
    let text = |name: &str| -> Option<Vec<String>> {
        let bytes = fs::read(format!("/proc/{pid}/{name}")).ok()?;
        let parts = bytes.split(|&byte| byte == 0).filter(|part| !part.is_empty());
        Some(parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect())
    };
    Some(Process {
        pid,
        command_line: text("cmdline")?.join(" "),
        environment: text("environ").unwrap_or_default(),
    })
}

pub(super) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}
