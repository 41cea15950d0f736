//! The identity of a process. A pid alone is not enough: the kernel reuses it after the process has ended.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::procfs;

/// Identifies a process within one boot: pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// Returns the process that has this pid now; `None` if there is none.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        procfs::stat(pid).map(|stat| ProcessIdentity { pid, start_ticks: stat.start_ticks })
    }

    /// Returns the identity of this process.
    pub fn of_this_process() -> Option<ProcessIdentity> {
        ProcessIdentity::of(std::process::id())
    }

    /// Whether this exact process exists and has not ended. A zombie has ended.
    pub fn is_alive(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended())
    }

    /// Whether this exact process exists and has not begun to exit, so its files are still open.
    pub fn is_running(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_exiting())
    }

    /// Opens a pidfd, which never refers to another process. Verifies the identity after opening, so a reused pid is
    /// detected.
    ///
    /// # Errors
    /// `ESRCH` if this process has ended.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let gone = || io::Error::from(rustix::io::Errno::SRCH);
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() { Ok(handle) } else { Err(gone()) }
    }

    /// Sends a signal to this process, never to another one.
    ///
    /// # Errors
    /// `ESRCH` if it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(self.open()?, signal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_does_not_match_another_start_time() {
        let me = ProcessIdentity::of_this_process().expect("this process is in /proc");
        assert!(me.is_alive());
        let stranger = ProcessIdentity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!stranger.is_alive());
        let error = stranger.signal(Signal::KILL).expect_err("a stranger is never signalled");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()));
    }
}
