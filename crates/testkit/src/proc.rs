//! Searches `/proc` without code of homing, so that tests do not depend on the code they test.

use std::fs;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its arguments, joined by spaces.
    pub command_line: String,
    /// Its environment, as `NAME=value`.
    pub environment: Vec<String>,
}

/// Returns all processes that have not ended and for which `wanted` returns true.
pub fn processes_where(wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(look_up)
        .filter(|process| wanted(process))
        .collect()
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
