//! Detaches this process from the process that started it.
#![allow(unsafe_code, reason = "fork(2), and close(2) for descriptors without owners")]

use std::io;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;

use super::file::open_null;
use super::pipe::{PipeReader, PipeWriter};
use super::{libproc, limits};

/// The first descriptor after standard input, output and error.
pub(super) const FIRST_FREE: i32 = 3;

/// How many descriptors are closed if the system does not list them.
const MANY: u64 = 4096;

/// Daemonizes: continues in a child and exits in the parent, so that init adopts the child. If the fork fails, exits
/// too: a job could not be started either.
///
/// # Safety
/// Only while this process has one thread.
pub unsafe fn continue_in_child() {
    // SAFETY: the caller guarantees that there is no other thread; _exit(2) runs no further code of this program.
    unsafe {
        match libc::fork() {
            0 => {}
            pid => libc::_exit(i32::from(pid < 0)),
        }
    }
}

/// Leaves the launcher: its session and terminal, its descriptors except standard input, output and error, and its
/// working directory. An inherited pipe that stays open could block the launching host.
///
/// # Safety
/// Only before this process has opened a file itself.
pub unsafe fn leave_launcher() {
    // SAFETY: the caller guarantees that no descriptor above 2 is owned.
    unsafe { close_from(FIRST_FREE) };
    leave_session_and_directory();
}

/// Closes all descriptors from this one on.
///
/// # Safety
/// Only if none of them is used any more.
pub(super) unsafe fn close_from(first: i32) {
    // Libraries of the system may guard a kqueue, and closing that would end this process. A program does not inherit
    // kqueues, so they are not in the way.
    let all =
        || (first..limits::descriptors().min(MANY).try_into().unwrap_or(i32::MAX)).collect::<Vec<i32>>();
    let open = libproc::descriptors(std::process::id()).map_or_else(
        |_| all(),
        |open| {
            open.into_iter().filter(|(_, kind)| *kind != libproc::KQUEUE).map(|(number, _)| number).collect()
        },
    );
    for number in open.into_iter().filter(|number| *number >= first) {
        // SAFETY: the caller guarantees that no owner of a closed descriptor uses it again.
        unsafe { libc::close(number) };
    }
}

pub(super) fn leave_session_and_directory() {
    // Fails only if this process already leads a session.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
}

/// Writes `answer` to standard output, and replaces standard output with the null device. The launcher reads the end of
/// its pipe after the answer.
///
/// # Errors
/// If the null device cannot be opened.
pub fn answer_on_stdout(answer: &[u8]) -> io::Result<()> {
    let _ = rustix::io::write(stdio::stdout(), answer);
    stdio::dup2_stdout(open_null()?)?;
    Ok(())
}

/// Takes the pipe that the launcher passed as standard error, to be read without waiting. The null device replaces it.
///
/// # Errors
/// If this process has no descriptor left, or the null device cannot be opened.
pub fn take_stderr_pipe() -> io::Result<PipeReader> {
    let pipe = PipeReader::from(fcntl_dupfd_cloexec(stdio::stderr(), FIRST_FREE)?);
    stdio::dup2_stderr(open_null()?)?;
    pipe.set_nonblocking()?;
    Ok(pipe)
}

/// Copies the pipe that the launcher passed as standard output, to be written without waiting.
///
/// # Errors
/// If this process has no descriptor left.
pub fn copy_stdout_pipe() -> io::Result<PipeWriter> {
    let pipe = PipeWriter::from(fcntl_dupfd_cloexec(stdio::stdout(), FIRST_FREE)?);
    pipe.set_nonblocking()?;
    Ok(pipe)
}
