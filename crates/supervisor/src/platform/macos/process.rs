//! Identifies, watches and signals processes. A pid alone is not enough: the kernel reuses it after the process has
//! ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, getpgid, getpid, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use super::file::FileIdentity;
use super::kqueue::{Filter, Kqueue};
use super::wait::{AsWaitSource, is_ready_within};
use super::{clock, errors};

pub use super::environment::{arguments, environment_names, has_environment, variable};
pub use super::open_files::{OpenFile, open_files, shares_namespace};
pub use super::process_list::{
    Stat, all_pids, callers, children, descendants, descends_from, holds_lock, holds_pipe, is_own_user, stat,
};

pub(super) use super::process_list::has_open;

/// How often to check whether a process whose files are closed has exited, and the pause between two checks.
const EXIT_CHECKS: u32 = 50;
const EXIT_PAUSE: Duration = Duration::from_millis(1);

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to end (SIGTERM).
    Terminate,
    /// Ends it (SIGKILL).
    Kill,
    /// Stops it until [`Signal::Continue`] (SIGSTOP).
    Stop,
    /// Continues it if it is stopped (SIGCONT).
    Continue,
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> rustix::process::Signal {
        match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Continue => rustix::process::Signal::CONT,
        }
    }
}

/// Identifies a process within one boot: pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in microseconds since the epoch, as the kernel recorded it at the fork. Later changes of the wall clock
    /// do not change it. 0 for processes of other users.
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// Returns the process that has this pid now; `None` if there is none.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        stat(pid).map(|stat| ProcessIdentity { pid, start_ticks: stat.start_ticks })
    }

    /// Returns the identity of this process.
    pub fn of_this_process() -> Option<ProcessIdentity> {
        ProcessIdentity::of(std::process::id())
    }

    /// Whether this exact process exists and has not ended. A zombie has ended.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended())
    }

    /// Whether this exact process exists and has not begun to exit, so its files are still open.
    pub fn is_running(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_exiting())
    }

    /// Returns when the process started, on the clock that includes suspend ([`clock::uptime`]). A change of the wall clock
    /// since then makes it wrong by as much; it is never in the future.
    pub fn started_at(&self) -> Duration {
        let age = clock::wall().saturating_sub(Duration::from_micros(self.start_ticks));
        clock::uptime().saturating_sub(age)
    }

    /// Opens a handle, which never refers to another process. Verifies the identity after opening, so a reused pid is
    /// detected.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if this process has ended.
    pub fn open(&self) -> io::Result<ProcessHandle> {
        let kqueue = Kqueue::new()?;
        kqueue.add(Filter::process_end(self.pid, 0))?;
        if self.is_alive() { Ok(ProcessHandle { kqueue }) } else { Err(errors::no_such_process()) }
    }

    /// Sends a signal to this process. macOS has no signal by handle: if the process ends between the check and the signal
    /// and its pid is reused at once, another process receives it. Pids are reused after all others have been used.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if it has ended. [`errors::is_not_permitted`] if another user owns it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.send(signal.into())
    }

    /// As [`ProcessIdentity::signal`], for any signal.
    pub(super) fn send(&self, signal: rustix::process::Signal) -> io::Result<()> {
        let pid = pid_of(self.pid).filter(|_| self.is_alive()).ok_or_else(errors::no_such_process)?;
        Ok(kill_process(pid, signal)?)
    }

    /// Whether this exact process is alive and has a file or directory open. If the system hides the open files because
    /// the process exits, waits for up to 50 ms until it has exited. A live process of another user, whose open files
    /// are hidden, counts as having it open.
    pub fn holds_open(&self, file: FileIdentity) -> bool {
        for _ in 0..EXIT_CHECKS {
            if !self.is_alive() {
                return false;
            }
            match open_files(self.pid) {
                Ok(files) => return files.iter().any(|open| open.identity() == Some(file)),
                Err(_) if !is_own_user(self.pid) => return true,
                Err(_) => std::thread::sleep(EXIT_PAUSE),
            }
        }
        self.is_alive()
    }
}

/// A handle of a process. Refers to this process even after it has ended and its pid is reused. It is ready for a wait
/// when the process has ended.
#[derive(Debug)]
pub struct ProcessHandle {
    kqueue: Kqueue,
}

impl ProcessHandle {
    /// Opens a handle of a child that is not reaped yet.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn of_child(child: &Child) -> io::Result<ProcessHandle> {
        let kqueue = Kqueue::new()?;
        match kqueue.add(Filter::process_end(child.id(), 0)) {
            // It has ended and is not reaped.
            Err(error) if errors::is_no_such_process(&error) => kqueue.make_ready(0)?,
            added => added?,
        }
        Ok(ProcessHandle { kqueue })
    }

    /// Waits at most `timeout` until the process has ended. Returns whether it has.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub fn has_ended_within(&self, timeout: Duration) -> io::Result<bool> {
        is_ready_within(self.as_wait_source(), timeout)
    }
}

impl AsFd for ProcessHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

/// The process group of a child that leads one ([`own_group`](super::spawn::own_group)). Use it only until the child is
/// reaped: after that, the kernel may reuse its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessGroup {
    id: Pid,
}

impl ProcessGroup {
    /// Returns the group that this child leads.
    pub fn led_by(child: &Child) -> ProcessGroup {
        ProcessGroup { id: Pid::from_child(child) }
    }

    /// Sends a signal to all its processes.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if the group has none.
    pub fn signal(self, signal: Signal) -> io::Result<()> {
        match kill_process_group(self.id, signal.into()) {
            // All its processes have ended, and one is not reaped (kill(2) on Darwin).
            Err(rustix::io::Errno::PERM) if !self.has_live_member() => Err(errors::no_such_process()),
            sent => Ok(sent?),
        }
    }

    /// Whether the process with this pid belongs to it.
    pub fn contains(self, pid: u32) -> bool {
        pid_of(pid).is_some_and(|pid| getpgid(Some(pid)) == Ok(self.id))
    }

    fn has_live_member(self) -> bool {
        let id = self.id.as_raw_pid().unsigned_abs();
        all_pids().into_iter().any(|pid| stat(pid).is_some_and(|stat| stat.group == id && !stat.has_ended()))
    }
}

/// Signals a process of a tree and no other process. A child keeps its pid until this process reaps it. Any other process
/// is verified, which takes longer.
///
/// # Errors
/// As [`ProcessIdentity::signal`].
pub fn signal_descendant(pid: u32, stat: &Stat, signal: Signal) -> io::Result<()> {
    match pid_of(pid) {
        Some(child) if stat.parent == std::process::id() => Ok(kill_process(child, signal.into())?),
        _ => ProcessIdentity { pid, start_ticks: stat.start_ticks }.signal(signal),
    }
}

/// Ends this process at once, without any cleanup (SIGKILL).
pub fn kill_this_process() {
    let _ = kill_process(getpid(), rustix::process::Signal::KILL);
}

/// Whether orphaned processes become children of this process. Only launchd adopts them on macOS.
pub fn adopts_orphans() -> bool {
    std::process::id() == 1
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_does_not_match_another_start_time() {
        let me = ProcessIdentity::of_this_process().expect("libproc shows this process");
        assert!(me.is_alive());
        let stranger = ProcessIdentity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!stranger.is_alive());
        let error = stranger.signal(Signal::Kill).expect_err("a stranger is never signalled");
        assert!(errors::is_no_such_process(&error), "{error}");
    }
}
