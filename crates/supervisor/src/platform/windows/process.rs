//! Identifies, watches and signals processes. A pid alone is not enough: the system reuses it after the process has
//! ended.
#![allow(unsafe_code, reason = "ends and suspends processes, and compares their users, by handles")]

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::process::Child;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::Win32::System::SystemInformation::GetSystemTimeAsFileTime;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SUSPEND_RESUME, PROCESS_SYNCHRONIZE,
    PROCESS_TERMINATE, TerminateProcess,
};

use super::file::FileIdentity;
use super::job_object::KILLED_EXIT_CODE;
use super::process_list::{creation_time, open, units};
use super::wait::{AsWaitSource, WaitSource, is_ready_within};
use super::win32::{check, is_signaled, raw};
use super::{clock, errors};

pub use super::environment::{arguments, environment_names, has_environment, is_own_user, variable};
pub use super::open_files::{OpenFile, holds_lock, holds_pipe, open_files, shares_namespace};
pub use super::process_group::ProcessGroup;
pub use super::process_list::{Stat, all_pids, callers, children, descendants, descends_from, stat};

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtSuspendProcess(process: HANDLE) -> NTSTATUS;
    fn NtResumeProcess(process: HANDLE) -> NTSTATUS;
}

/// A signal to a process. Windows has no signals: each stands for a call with the same effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Asks it to end. Only a [`ProcessGroup`] on the console of this process can be asked (CTRL_BREAK): a single process
    /// is ended as with [`Signal::Kill`].
    Terminate,
    /// Ends it (TerminateProcess).
    Kill,
    /// Stops it until [`Signal::Continue`] (NtSuspendProcess). Stops are counted: each needs its own continuation.
    Stop,
    /// Continues it if it is stopped (NtResumeProcess).
    Continue,
}

/// Identifies a process: pid and creation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// When it was created, in units of 100 ns since 1601 (FILETIME).
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

    /// Whether this exact process exists and has not ended.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended())
    }

    /// Whether this exact process exists and has not begun to exit, so its files are still open.
    pub fn is_running(&self) -> bool {
        self.is_alive()
    }

    /// Returns when the process started, on the clock that includes sleep ([`clock::uptime`]). The system knows the time of
    /// day of the start, so the result is wrong if the time of day was set since.
    pub fn started_at(&self) -> Duration {
        // SAFETY: the call writes to a live local, of which zeros are a valid value.
        let now = unsafe {
            let mut now = std::mem::zeroed();
            GetSystemTimeAsFileTime(&mut now);
            units(now)
        };
        let age = Duration::from_nanos(now.saturating_sub(self.start_ticks).saturating_mul(100));
        clock::uptime().saturating_sub(age)
    }

    /// Opens a handle, which never refers to another process. Verifies the identity after opening, so a reused pid is
    /// detected.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if this process has ended.
    pub fn open(&self) -> io::Result<ProcessHandle> {
        Ok(ProcessHandle { handle: self.open_with(0)? })
    }

    fn open_with(&self, rights: u32) -> io::Result<OwnedHandle> {
        let handle = open(self.pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE | rights)?;
        let is_this = creation_time(&handle)? == self.start_ticks && !is_signaled(&handle);
        if is_this { Ok(handle) } else { Err(errors::no_such_process()) }
    }

    /// Sends a signal to this process, never to another one.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if it has ended. [`io::ErrorKind::PermissionDenied`] if this user may not do that.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Terminate | Signal::Kill => {
                let process = self.open_with(PROCESS_TERMINATE)?;
                // SAFETY: the handle is open during the call.
                let ended = unsafe { check(TerminateProcess(raw(&process), KILLED_EXIT_CODE)) };
                // A process that is exiting cannot be ended once more.
                if is_signaled(&process) { Ok(()) } else { ended }
            }
            Signal::Stop => {
                let process = self.open_with(PROCESS_SUSPEND_RESUME)?;
                // SAFETY: the handle is open during the call.
                nt_result(unsafe { NtSuspendProcess(raw(&process)) })
            }
            Signal::Continue => resume(self.open_with(PROCESS_SUSPEND_RESUME)?.as_handle()),
        }
    }

    /// Whether this exact process is alive and may have a file or directory open. Windows does not say which files a
    /// process has open, so a live process counts as having it open.
    pub fn holds_open(&self, _file: FileIdentity) -> bool {
        self.is_alive()
    }
}

/// Lets a process run that was created suspended.
pub(super) fn resume(process: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the handle is open during the call.
    nt_result(unsafe { NtResumeProcess(raw(&process)) })
}

fn nt_result(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: the call only converts a number.
    let code = unsafe { RtlNtStatusToDosError(status) };
    Err(io::Error::from_raw_os_error(code.cast_signed()))
}

/// A handle of a process. Refers to this process even after it has ended; its pid is not reused until the handle is
/// closed. It is ready for a wait when the process has ended.
#[derive(Debug)]
pub struct ProcessHandle {
    handle: OwnedHandle,
}

impl ProcessHandle {
    /// Opens a handle of a child.
    ///
    /// # Errors
    /// If this process has no handle left.
    pub fn of_child(child: &Child) -> io::Result<ProcessHandle> {
        Ok(ProcessHandle { handle: child.as_handle().try_clone_to_owned()? })
    }

    /// Waits at most `timeout` until the process has ended. Returns whether it has.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub fn has_ended_within(&self, timeout: Duration) -> io::Result<bool> {
        is_ready_within(self.as_wait_source(), timeout)
    }
}

impl AsHandle for ProcessHandle {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl AsWaitSource for ProcessHandle {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource::from(self.as_handle())
    }
}

/// Signals a descendant of this process and no other process.
///
/// # Errors
/// As [`ProcessIdentity::signal`].
pub fn signal_descendant(pid: u32, stat: &Stat, signal: Signal) -> io::Result<()> {
    ProcessIdentity { pid, start_ticks: stat.start_ticks }.signal(signal)
}

/// Ends this process at once, without any cleanup.
pub fn kill_this_process() {
    // SAFETY: the pseudo handle of this process is always valid.
    unsafe { TerminateProcess(GetCurrentProcess(), KILLED_EXIT_CODE) };
}

/// Whether orphaned processes become children of this process: never on Windows.
pub fn adopts_orphans() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_does_not_match_another_start_time() {
        let me = ProcessIdentity::of_this_process().expect("this process exists");
        assert!(me.is_alive());
        let stranger = ProcessIdentity { start_ticks: me.start_ticks + 1, ..me };
        assert!(!stranger.is_alive());
        let error = stranger.signal(Signal::Kill).expect_err("a stranger is never signalled");
        assert!(errors::is_no_such_process(&error), "{error}");
        let age = clock::uptime().saturating_sub(me.started_at());
        assert!(age < Duration::from_secs(120), "{age:?}");
    }
}
