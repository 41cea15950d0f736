//! A copy of this process that is forked before there is work for it, so that both get ready at the same time and no
//! program is started. It waits for a request with arguments and changes of the environment, and then shows those in
//! `/proc`, as a process that executes a program does: those of its parent may contain secrets.
#![allow(unsafe_code, reason = "fork(2), and dup3(2) and close_range(2) for descriptors without owners")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::stdio;

use super::detach::{FIRST_FREE, close_from, leave_session_and_directory};
use super::file::open_null;
use super::own_start::{Change, OwnStart, os_string, start_again};
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::wait::{AsWaitSource, is_ready_within};

/// A forked process that waits for a request. It exits when this is dropped.
#[derive(Debug)]
pub struct Preforked {
    process: ForkedChild,
    request: PipeWriter,
    answer: PipeReader,
}

/// Forks this process. The child detaches from its parent, calls `prepare`, waits at most `patience` for a request, and
/// calls `run` with its arguments. Its standard output is the pipe with its answer. It exits with 0 if `run` returns true,
/// or if no request came; this function does not return in it.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] if this process has several threads: the child would have only this one, and the locks
/// that the others held. Also if the limit of processes or descriptors is reached.
pub fn prefork<R>(
    patience: Duration,
    prepare: impl FnOnce() -> R,
    run: impl FnOnce(R, &[OsString]) -> bool,
) -> io::Result<Preforked> {
    let (request_reader, request) = pipe()?;
    let (answer, answer_writer) = pipe()?;
    match fork()? {
        Forked::Parent(process) => Ok(Preforked { process, request, answer }),
        Forked::Child => {
            drop((request, answer));
            let done = wait_and_run(request_reader, answer_writer, patience, prepare, run);
            std::process::exit(i32::from(!done));
        }
    }
}

impl Preforked {
    /// Lets it run with these arguments, none of which is empty and the first is its name, and these changes of the environment, in this order:
    /// a variable is set to a value, or removed. Returns the process, and the pipe with its answer.
    ///
    /// # Errors
    /// The process, if it has died before.
    pub fn start(
        self,
        arguments: &[&OsStr],
        changes: &[(&str, Option<&OsStr>)],
    ) -> Result<(ForkedChild, PipeReader), ForkedChild> {
        match self.request.write_all(&encoded(arguments, changes)) {
            Ok(()) => Ok((self.process, self.answer)),
            Err(_) => Err(self.process),
        }
    }

    /// Lets it exit. Returns the process, which this process has to reap.
    pub fn dismiss(self) -> ForkedChild {
        self.process
    }
}

/// The request as it was received.
struct Received {
    arguments: Vec<OsString>,
    changes: Vec<Change>,
}

/// Returns the length in 8 bytes, then parts that end with NUL, which none of them contains: each argument, an empty part,
/// and a part for each variable, without `=` if it is removed.
fn encoded(arguments: &[&OsStr], changes: &[(&str, Option<&OsStr>)]) -> Vec<u8> {
    let mut parts = vec![0; size_of::<u64>()];
    let mut add = |part: &[&[u8]]| {
        part.iter().for_each(|bytes| parts.extend_from_slice(bytes));
        parts.push(0);
    };
    arguments.iter().for_each(|argument| add(&[argument.as_encoded_bytes()]));
    add(&[]);
    for (name, value) in changes {
        match value {
            Some(value) => add(&[name.as_bytes(), b"=", value.as_encoded_bytes()]),
            None => add(&[name.as_bytes()]),
        }
    }
    let length = (parts.len() - size_of::<u64>()) as u64;
    parts[..size_of::<u64>()].copy_from_slice(&length.to_ne_bytes());
    parts
}

impl Received {
    /// Waits for the request; `None` if the parent has died, has no work, or sends none in time: another process may have
    /// inherited the parent's end of the pipe.
    fn read(pipe: &PipeReader, patience: Duration) -> Option<Received> {
        is_ready_within(pipe.as_wait_source(), patience).ok().filter(|is_ready| *is_ready)?;
        let mut length = [0; size_of::<u64>()];
        pipe.fill(&mut length).ok().filter(|is_full| *is_full)?;
        let mut parts = vec![0; usize::try_from(u64::from_ne_bytes(length)).ok()?];
        pipe.fill(&mut parts).ok().filter(|is_full| *is_full)?;
        Received::decoded(&parts)
    }

    fn decoded(parts: &[u8]) -> Option<Received> {
        let mut parts = parts.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let arguments = parts.by_ref().take_while(|part| !part.is_empty()).map(os_string).collect();
        let changes = parts.map(|part| match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (os_string(&part[..at]), Some(os_string(&part[at + 1..]))),
            None => (os_string(part), None),
        });
        Some(Received { arguments, changes: changes.collect() })
    }
}

/// Runs the child. Returns whether it has done its work, or there was none.
fn wait_and_run<R>(
    request: PipeReader,
    answer: PipeWriter,
    patience: Duration,
    prepare: impl FnOnce() -> R,
    run: impl FnOnce(R, &[OsString]) -> bool,
) -> bool {
    // SAFETY: this process is a child just forked, and uses no descriptor of its parent except these two.
    let Ok(request) = (unsafe { leave_parent(request, answer) }) else { return false };
    let prepared = prepare();
    let own_start = OwnStart::read();
    let Some(Received { arguments, changes }) = Received::read(&request, patience) else { return true };
    drop(request);
    let words: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
    let is_replaced = own_start.is_some_and(|own_start| {
        // SAFETY: this process has one thread, which uses no value of the environment here.
        unsafe { own_start.replace(&words, &changes) }.is_ok()
    });
    if !is_replaced {
        let _ = start_again(&words, &changes);
        return false;
    }
    drop((words, changes));
    run(prepared, &arguments)
}

/// The two processes after a fork.
#[derive(Debug)]
enum Forked {
    /// This process is the parent.
    Parent(ForkedChild),
    /// This process is the child.
    Child,
}

/// A child that this process has forked.
#[derive(Debug)]
pub struct ForkedChild {
    pid: Pid,
}

impl ForkedChild {
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
fn fork() -> io::Result<Forked> {
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

/// Leaves the parent as [`leave_launcher`](super::detach::leave_launcher) does, in a forked child. Standard input and error become the null device, and standard output
/// becomes `answer`. Of all other descriptors it keeps only `request`, and returns it.
///
/// # Errors
/// If the null device cannot be opened, or this process has no descriptor left.
///
/// # Safety
/// Only if this process owns no descriptor except these two: all others are closed.
unsafe fn leave_parent(request: PipeReader, answer: PipeWriter) -> io::Result<PipeReader> {
    let null = open_null()?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&answer)?;
    stdio::dup2_stderr(&null)?;
    let request = at_kept(request)?;
    // Their descriptors are closed below.
    std::mem::forget((null, answer));
    // SAFETY: the caller guarantees that nothing above the kept descriptor is used any more.
    unsafe { close_from(FIRST_FREE + 1) };
    leave_session_and_directory();
    Ok(request)
}

/// Moves the pipe to the descriptor [`FIRST_FREE`], and closes what was there.
fn at_kept(request: PipeReader) -> io::Result<PipeReader> {
    let number = FIRST_FREE.cast_signed();
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

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 3] = ["homing", "__supervise", "/home/jobs/0123456789ab"];

    fn request(changes: &[(&str, Option<&str>)]) -> Vec<u8> {
        let changes: Vec<_> = changes.iter().map(|(name, value)| (*name, value.map(OsStr::new))).collect();
        encoded(&WORDS.map(OsStr::new), &changes)
    }

    fn received(bytes: &[u8]) -> Option<Received> {
        let (reader, writer) = pipe().unwrap();
        writer.write_all(bytes).unwrap();
        drop(writer);
        Received::read(&reader, Duration::from_secs(10))
    }

    #[test]
    fn a_request_is_received_as_it_was_sent() {
        let changes = [("A", Some("first")), ("EMPTY", Some("")), ("GONE", None), ("A", Some("b=c\nd"))];
        let received = received(&request(&changes)).unwrap();
        assert_eq!(received.arguments, WORDS);
        let expected = changes.map(|(name, value)| (OsString::from(name), value.map(OsString::from)));
        assert_eq!(received.changes, expected);
    }

    #[test]
    fn half_a_request_is_none() {
        let request = request(&[]);
        for length in 0..request.len() {
            assert!(received(&request[..length]).is_none(), "{length} bytes");
        }
    }
}
