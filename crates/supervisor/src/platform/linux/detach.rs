//! Forks this process, and detaches a process from the process that started it.
#![allow(unsafe_code, reason = "fork(2), and dup2(2) and close_range(2) for descriptors without owners")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, WaitOptions, waitpid};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;

use super::file::open_null;
use super::pipe::{PipeReader, PipeWriter};

/// The first descriptor after standard input, output and error.
const FIRST_FREE: i32 = 3;

/// The descriptor at which a forked process keeps the pipe that its parent writes to.
const KEPT: u32 = 3;

/// The two processes after a fork.
#[derive(Debug)]
pub enum Forked {
    /// This process is the parent.
    Parent(ForkedChild),
    /// This process is the child.
    Child,
}

/// A child that [`fork`] made.
#[derive(Debug)]
pub struct ForkedChild {
    pid: Pid,
}

impl ForkedChild {
    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Reaps it if it has ended. Returns whether there is nothing left to reap.
    pub fn is_reaped(&mut self) -> bool {
        // An error means that it was reaped elsewhere.
        !matches!(waitpid(Some(self.pid), WaitOptions::NOHANG), Ok(None))
    }
}

/// Forks this process. Its child has a copy of its memory, and may do everything that this process may do.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] if this process has several threads: the child would have only this one, and the locks
/// that the others held. Also if the limit of processes is reached.
pub fn fork() -> io::Result<Forked> {
    if !has_one_thread() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: this process has one thread, so no other thread can hold a lock or be in the middle of a change.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Pid::from_raw(pid).map_or(Forked::Child, |pid| Forked::Parent(ForkedChild { pid })))
}

/// Whether this process has one thread. The directory of its threads has a link for each, one for itself, and one for
/// its name (proc_task_getattr in the kernel's `fs/proc/base.c`).
fn has_one_thread() -> bool {
    fs::metadata("/proc/self/task").is_ok_and(|tasks| tasks.nlink() == 3)
}

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
/// working directory. Makes all descendants children of this process when their parents end. An inherited pipe that
/// stays open could block the launching host.
///
/// # Safety
/// Only before this process has opened a file itself.
pub unsafe fn leave_launcher() {
    // SAFETY: the caller guarantees that no descriptor above 2 is owned.
    unsafe { close_from(KEPT) };
    leave_session_and_directory();
}

/// As [`leave_launcher`], in a forked child. Standard input and error become the null device, and standard output
/// becomes `answer`. Of all other descriptors it keeps only `request`, and returns it.
///
/// # Errors
/// If the null device cannot be opened, or this process has no descriptor left.
///
/// # Safety
/// Only if this process owns no descriptor except these two: all others are closed.
pub unsafe fn leave_parent(request: PipeReader, answer: PipeWriter) -> io::Result<PipeReader> {
    let null = open_null()?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&answer)?;
    stdio::dup2_stderr(&null)?;
    let request = at_kept(request)?;
    // Their descriptors are closed below.
    std::mem::forget((null, answer));
    // SAFETY: the caller guarantees that nothing above the kept descriptor is used any more.
    unsafe { close_from(KEPT + 1) };
    leave_session_and_directory();
    Ok(request)
}

/// Moves the pipe to the descriptor [`KEPT`], and closes what was there.
fn at_kept(request: PipeReader) -> io::Result<PipeReader> {
    let number = KEPT.cast_signed();
    if request.as_fd().as_raw_fd() == number {
        return Ok(request);
    }
    // SAFETY: the number is not owned in this process, or its owner is never used again (`leave_parent`); after the
    // call, only the returned value owns it.
    let kept = unsafe {
        if libc::dup3(request.as_fd().as_raw_fd(), number, libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(number)
    };
    // Its old descriptor is closed with all others.
    std::mem::forget(request);
    Ok(kept.into())
}

/// Closes all descriptors from this one on.
///
/// # Safety
/// Only if none of them is used any more.
unsafe fn close_from(first: u32) {
    // SAFETY: the caller guarantees that no owner of a closed descriptor uses it again.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0u32) };
}

fn leave_session_and_directory() {
    // Fails only if this process already leads a session.
    let _ = rustix::process::setsid();
    // Fails only on kernels before 3.4.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
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
