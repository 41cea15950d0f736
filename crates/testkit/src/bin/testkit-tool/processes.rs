//! Starts other processes.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

/// The size of one variable of a large environment. Windows allows 32,767 characters.
const FILL: usize = 30_000;

/// Runs a program with the same streams, and waits for it.
///
/// # Errors
/// If it does not start, or does not exit with 0.
pub(crate) fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    status.success().then_some(()).ok_or_else(|| io::Error::other(status.to_string()))
}

/// Runs a program with the same streams and `count` more variables of [`FILL`] bytes, and exits as it does.
///
/// # Errors
/// If it does not start.
pub(crate) fn run_with_large_environment(count: u32, program: &str, arguments: &[&str]) -> io::Result<()> {
    let value = "x".repeat(FILL);
    let variables = (0..count).map(|number| (format!("TESTKIT_FILL_{number}"), &value));
    exit_as(Command::new(program).args(arguments).envs(variables).status()?)
}

/// Exits with the exit code of another program.
///
/// # Errors
/// If a signal has ended it.
pub(crate) fn exit_as(status: ExitStatus) -> io::Result<()> {
    let code = status.code().ok_or_else(|| io::Error::other(status.to_string()))?;
    std::process::exit(code);
}

/// Starts this program detached, and does not wait for it. It keeps the streams, as a program that a job leaves behind
/// does.
///
/// # Errors
/// If it does not start.
pub(crate) fn spawn(words: &[&str]) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    detach(command.args(words).stdin(Stdio::null()));
    // A process that is not waited for: it outlives this one.
    drop(command.spawn()?);
    Ok(())
}

/// Starts the next process of a tree, unless the depth is 1.
///
/// # Errors
/// If it does not start.
pub(crate) fn grow(name: &str, depth: u32, seconds: &str) -> io::Result<()> {
    match depth.checked_sub(1) {
        None | Some(0) => Ok(()),
        Some(rest) => spawn(&[name, &rest.to_string(), seconds]),
    }
}

#[cfg(unix)]
fn detach(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    // CREATE_NEW_PROCESS_GROUP and DETACHED_PROCESS (process creation flags of CreateProcessW).
    std::os::windows::process::CommandExt::creation_flags(command, 0x0000_0200 | 0x0000_0008);
}
