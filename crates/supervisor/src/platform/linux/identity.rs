//! Who a process is. A pid alone is never believed: the kernel gives it to a stranger once its owner is gone.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::procfs;

/// One process of one boot: its pid and the time it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_ticks: u64,
}

impl ProcessIdentity {
    /// The process that has this pid now; `None` where there is none.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        procfs::stat(pid).map(|stat| ProcessIdentity { pid, start_ticks: stat.start_ticks })
    }

    /// This process.
    pub fn of_this_process() -> Option<ProcessIdentity> {
        ProcessIdentity::of(std::process::id())
    }

    /// Whether this very process still exists and has not ended (a zombie has).
    pub fn is_alive(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended())
    }

    /// Whether this very process still exists and has not begun to end: the files that it keeps open are open.
    pub fn is_running(&self) -> bool {
        procfs::stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_exiting())
    }

    /// Opens a handle that can never come to mean another process. The handle is opened first and the identity
    /// verified after, so there is no moment in which the pid could change hands.
    ///
    /// # Errors
    /// `ESRCH` where this process is gone.
    pub fn open(&self) -> io::Result<OwnedFd> {
        let gone = || io::Error::from(rustix::io::Errno::SRCH);
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() { Ok(handle) } else { Err(gone()) }
    }

    /// Sends a signal to this process and to no other.
    ///
    /// # Errors
    /// `ESRCH` where it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(self.open()?, signal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself_and_no_other_with_its_pid() {
        let me = ProcessIdentity::of_this_process().expect("this process is in /proc");
        assert!(me.is_alive());
        let stranger = ProcessIdentity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!stranger.is_alive());
        let error = stranger.signal(Signal::KILL).expect_err("a stranger is never signalled");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::SRCH.raw_os_error()));
    }
}
