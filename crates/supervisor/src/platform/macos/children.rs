//! Reaps the main process of a job and reads its resource usage.
#![allow(
    unsafe_code,
    reason = "wait4(2), the only call that reports a child's resource usage, has no safe wrapper"
)]

use std::time::Duration;

use homing_core::{Outcome, Signal};

/// A child that was reaped.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Its process id, free again from now on.
    pub pid: u32,
    /// How it ended.
    pub end: ProcessEnd,
    /// Processor time of the child and of the descendants that it waited for.
    pub cpu: Duration,
    /// Largest resident memory of one of them, in bytes.
    pub peak_memory_bytes: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It exited with this code.
    Exited(i64),
    /// This signal ended it.
    Signaled(i32),
}

impl From<ProcessEnd> for Outcome {
    fn from(end: ProcessEnd) -> Outcome {
        match end {
            ProcessEnd::Exited(exit_code) => Outcome::Exited { exit_code },
            ProcessEnd::Signaled(number) => Outcome::Signaled { signal: Signal::from_number(number) },
        }
    }
}

/// The result of [`reap`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// The child had ended and was reaped.
    Reaped(Reaped),
    /// It is running.
    Running,
    /// There is no such child.
    NoChild,
}

/// Reaps this child if it has ended. Does not block.
pub(super) fn reap(pid: u32) -> Wait {
    let Ok(child) = libc::pid_t::try_from(pid) else { return Wait::NoChild };
    loop {
        let mut status = 0;
        // SAFETY: both pointers refer to live locals of the right types; an all-zero rusage is valid.
        let (result, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(child, &mut status, libc::WNOHANG, &mut usage), usage)
        };
        match result {
            0 => return Wait::Running,
            -1 => match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                // With valid options, ECHILD is the only other error.
                _ => return Wait::NoChild,
            },
            _ => {
                let end = if libc::WIFEXITED(status) {
                    ProcessEnd::Exited(libc::WEXITSTATUS(status).into())
                } else {
                    ProcessEnd::Signaled(libc::WTERMSIG(status))
                };
                return Wait::Reaped(Reaped {
                    pid,
                    end,
                    cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
                    // In bytes on Darwin (getrusage(2)).
                    peak_memory_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0),
                });
            }
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}
