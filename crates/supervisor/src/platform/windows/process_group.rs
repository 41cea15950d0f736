//! Process groups of started programs: a job object, and a group of the console.
#![allow(unsafe_code, reason = "GenerateConsoleCtrlEvent has no safe wrapper")]

use std::io;
use std::os::windows::io::AsHandle;
use std::process::Child;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::JobObjects::JOB_OBJECT_LIMIT_BREAKAWAY_OK;
use windows_sys::Win32::System::Threading::PROCESS_QUERY_INFORMATION;

use super::errors;
use super::job_object::JobObject;
use super::process::{ProcessIdentity, Signal, resume};
use super::process_list::open;
use super::win32::check;

/// The processes of a program that was started with [`own_group`](super::spawn::own_group): it, and what it starts.
/// Supervisors that it starts leave the group, because their jobs outlive it. Processes that are left when this value is
/// dropped keep running.
#[derive(Debug)]
pub struct ProcessGroup {
    /// The pid of the program, which is the id of its group on the console.
    leader: u32,
    /// `None` if the system did not put the program into it. Then the group is the program alone.
    job: Option<JobObject>,
}

impl ProcessGroup {
    /// Returns the group that this child leads, and lets the child run: it was created suspended, so that it starts no
    /// process outside the group.
    pub fn led_by(child: &Child) -> ProcessGroup {
        let job = JobObject::create(None, JOB_OBJECT_LIMIT_BREAKAWAY_OK);
        let job = job.and_then(|job| job.assign(child.as_handle()).map(|()| job)).ok();
        // Fails only if the child has ended.
        let _ = resume(child.as_handle());
        ProcessGroup { leader: child.id(), job }
    }

    /// Sends a signal to all its processes. [`Signal::Terminate`] is CTRL_BREAK, which reaches the processes of the group
    /// that have the console of this process; without a console, it fails.
    ///
    /// # Errors
    /// [`errors::is_no_such_process`] if the group has none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let members = self.members();
        if members.is_empty() {
            return Err(errors::no_such_process());
        }
        match (signal, &self.job) {
            (Signal::Terminate, _) => interrupt(self.leader),
            (Signal::Kill, Some(job)) => job.terminate(),
            (Signal::Kill | Signal::Stop | Signal::Continue, _) => {
                let members = members.into_iter().filter_map(ProcessIdentity::of);
                members.map(|member| member.signal(signal)).fold(Ok(()), Result::or)
            }
        }
    }

    /// Whether the process with this pid belongs to it.
    pub fn contains(&self, pid: u32) -> bool {
        match &self.job {
            Some(job) => {
                open(pid, PROCESS_QUERY_INFORMATION).is_ok_and(|process| job.contains(process.as_handle()))
            }
            None => pid == self.leader,
        }
    }

    fn members(&self) -> Vec<u32> {
        match &self.job {
            Some(job) => job.pids().unwrap_or_default(),
            None => vec![self.leader],
        }
    }
}

/// Asks the processes of a group to end: sends CTRL_BREAK to those that have the console of this process. `leader` is a
/// process that was created with CREATE_NEW_PROCESS_GROUP and whose handle is still open: any other number could reach
/// other processes of the console.
///
/// # Errors
/// If this process has no console.
pub(super) fn interrupt(leader: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    unsafe { check(GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, leader)) }
}
