//! A small process that watches a supervisor and ends the job's processes when the supervisor dies. Without it, they run
//! until the next recovery.
//!
//! It does not know that a job keeps its leftovers: if the supervisor of such a job is killed, they end too.
//!
//! It is off unless `HOMING_GUARD` is `1`: it was never run on a Mac. It is a forked copy of the supervisor, so other
//! processes see the same arguments and environment.
#![allow(unsafe_code, reason = "fork(2), and descriptors without owners in the forked process")]

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::stdio;

use super::clock;
use super::detach::{FIRST_FREE, close_from, leave_session_and_directory};
use super::file::open_null;
use super::kqueue::{Filter, Kqueue};
use super::members::Evidence;
use super::pipe::{PipeReader, PipeWriter, pipe};
use super::process::{ProcessIdentity, Signal};
use super::wait::{AsWaitSource, wait};

/// The environment variable that switches the guard on with `1`.
const GUARD_VARIABLE: &str = "HOMING_GUARD";

/// How long it repeats SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between two rounds of SIGKILL.
const KILL_PAUSE: Duration = Duration::from_millis(10);

/// A guard, as its supervisor sees it. Dropping this ends the guard, and it ends no process then.
#[derive(Debug)]
pub(super) struct Guard {
    pid: Pid,
    control: PipeWriter,
}

/// What the supervisor writes so that the guard ends without any effect.
const DISMISSED: &[u8] = b"!";

impl Guard {
    /// Starts a guard of the processes with this evidence, if the user has switched it on. Without it, or if it cannot be
    /// started, the job runs all the same.
    pub(super) fn start_if_wanted(evidence: &Evidence, is_spared: fn(u32) -> bool) -> Option<Guard> {
        let is_wanted = std::env::var_os(GUARD_VARIABLE).is_some_and(|value| value == "1");
        is_wanted.then(|| Guard::start(evidence, is_spared).ok()).flatten()
    }

    fn start(evidence: &Evidence, is_spared: fn(u32) -> bool) -> io::Result<Guard> {
        let supervisor = ProcessIdentity::of_this_process().ok_or(io::ErrorKind::NotFound)?;
        let (control_reader, control) = pipe()?;
        // SAFETY: a supervisor has one thread, so no other thread can hold a lock or be in the middle of a change.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let _ = watch(&control_reader, supervisor, evidence, is_spared);
                // SAFETY: runs no further code of this program.
                unsafe { libc::_exit(0) }
            }
            pid => Pid::from_raw(pid).map(|pid| Guard { pid, control }).ok_or(io::ErrorKind::Other.into()),
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to tell it.
        let _ = self.control.write(DISMISSED);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Runs the guard: waits until its supervisor dies or dismisses it.
///
/// # Errors
/// If the system does not report the end of the supervisor.
fn watch(
    control: &PipeReader,
    supervisor: ProcessIdentity,
    evidence: &Evidence,
    is_spared: fn(u32) -> bool,
) -> io::Result<()> {
    leave_session_and_directory();
    // The guard must not hold the pipes of the job or of the launcher open.
    let null = open_null()?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(control.as_fd())?;
    stdio::dup2_stderr(&null)?;
    // SAFETY: from here on, this process uses only standard output, which is the pipe, and what it opens itself; it exits
    // without dropping any owner.
    unsafe { close_from(FIRST_FREE) };
    let control = stdio::stdout();
    let events = Kqueue::new()?;
    // An error means that the supervisor has ended: the pipe says whether it has dismissed the guard before.
    let _ = events.add(Filter::process_end(supervisor.pid, 0));
    while supervisor.is_alive() {
        let mut byte = [0; 1];
        let sources = [events.as_wait_source(), control.as_wait_source()];
        wait(&sources, None)?;
        let is_ready = super::wait::is_ready_within(control.as_wait_source(), Duration::ZERO)?;
        if is_ready && rustix::io::read(control, &mut byte)? == DISMISSED.len() {
            return Ok(());
        }
    }
    let mut byte = [0; 1];
    if rustix::io::read(control, &mut byte)? == DISMISSED.len() {
        return Ok(());
    }
    end_all(evidence, is_spared);
    Ok(())
}

/// Ends the processes of the job. Recovery records their end later.
fn end_all(evidence: &Evidence, is_spared: fn(u32) -> bool) {
    let give_up_at = clock::monotonic() + KILL_TIMEOUT;
    loop {
        let members = evidence.search(&HashMap::new(), None, is_spared).members;
        if members.is_empty() || clock::monotonic() > give_up_at {
            return;
        }
        for (pid, stat) in members {
            // An error means that the process has ended, which is the goal.
            let _ = ProcessIdentity { pid, start_ticks: stat.start_ticks }.signal(Signal::Kill);
        }
        std::thread::sleep(KILL_PAUSE);
    }
}
