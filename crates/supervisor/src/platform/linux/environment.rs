//! The arguments and the environment that a process was started with, from `/proc`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use super::procfs::{live_task, read_at_once};

/// How often, and at which interval, to read a process again that is executing execve(2).
const EXEC_READS: u32 = 200;
const EXEC_PAUSE: Duration = Duration::from_millis(1);

/// Whether the process was started with this environment variable (`NAME=value`).
pub fn has_environment(pid: u32, variable: &str) -> bool {
    any_variable(pid, |entry| entry == variable.as_bytes())
}

/// Whether the process was started with an environment variable of this name.
pub fn environment_names(pid: u32, name: &str) -> bool {
    any_variable(pid, |entry| entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")))
}

/// Returns the value of an environment variable that the process was started with.
pub fn variable(pid: u32, name: &str) -> Option<OsString> {
    let environment = environment(pid);
    let value = |entry: &[u8]| {
        entry
            .strip_prefix(name.as_bytes())?
            .strip_prefix(b"=")
            .map(|value| OsString::from_vec(value.to_vec()))
    };
    environment.split(|&byte| byte == 0).find_map(value)
}

fn any_variable(pid: u32, is_it: impl Fn(&[u8]) -> bool) -> bool {
    environment(pid).split(|&byte| byte == 0).any(is_it)
}

/// Returns the environment that the process was started with. During execve(2), the kernel briefly shows neither
/// environment nor arguments, so this waits until execve(2) has finished.
fn environment(pid: u32) -> Vec<u8> {
    let mut without = 0;
    for _ in 0..EXEC_READS {
        let task = live_task(pid);
        let environment = read_at_once(&format!("{task}/environ"), 128 << 10).unwrap_or_default();
        if !environment.is_empty() {
            return environment;
        }
        // A kernel thread has neither too, but it has no program.
        let has_program = || fs::read_link(format!("{task}/exe")).is_ok();
        if arguments(pid) == [""] && has_program() {
            std::thread::sleep(EXEC_PAUSE);
            continue;
        }
        // Confirm with further reads: execve may have finished between the two reads.
        without += 1;
        if without == 3 {
            break;
        }
    }
    Vec::new()
}

/// Returns the arguments that the process was started with.
pub fn arguments(pid: u32) -> Vec<OsString> {
    let Ok(bytes) = fs::read(format!("{}/cmdline", live_task(pid))) else { return Vec::new() };
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
    bytes.split(|&byte| byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_found_during_execve() {
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "n=$((${0} + 1)); test $n -gt 300 && exec sleep 600; exec sh -c \"$1\" $n \"$1\"",
                "0",
            ])
            .arg("n=$((${0} + 1)); test $n -gt 300 && exec sleep 600; exec sh -c \"$1\" $n \"$1\"")
            .env("HOMING_TEST_EXEC", "yes")
            .spawn()
            .expect("sh starts");
        let is_sleep = || arguments(child.id()).first().is_some_and(|argument| argument == "sleep");
        let mut missed = 0;
        while !is_sleep() {
            missed += u32::from(!has_environment(child.id(), "HOMING_TEST_EXEC=yes"));
        }
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be reaped");
        assert_eq!(missed, 0);
    }
}
