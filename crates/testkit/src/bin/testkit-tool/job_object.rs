//! A job object around this program, as terminals, editors and services make them.
#![allow(unsafe_code, reason = "job objects have no safe wrapper")]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::Command;
use std::ptr::null;

use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_BREAKAWAY_OK,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use crate::processes;

/// Enters a job object that ends with this process, runs a program in it, and exits as it does. `open` lets processes leave
/// the job object, `closed` does not.
///
/// # Errors
/// If the system refuses, or the program does not start.
pub(crate) fn run(kind: &str, program: &str, arguments: &[&str]) -> io::Result<()> {
    let breakaway = match kind {
        "open" => JOB_OBJECT_LIMIT_BREAKAWAY_OK,
        "closed" => 0,
        _ => return Err(io::Error::other("open or closed")),
    };
    let job = enter(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | breakaway)?;
    let status = Command::new(program).args(arguments).status();
    // Closing it would end this process before it has exited as the program did.
    std::mem::forget(job);
    processes::exit_as(status?)
}

fn enter(limits: u32) -> io::Result<OwnedHandle> {
    // SAFETY: attributes and name are optional; nobody else owns the new handle; the structure may be all zeros, and lives
    // during the call.
    unsafe {
        let handle = CreateJobObjectW(null(), null());
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        let job = OwnedHandle::from_raw_handle(handle);
        let mut information: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = zeroed();
        information.BasicLimitInformation.LimitFlags = limits;
        let size =
            u32::try_from(size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>()).expect("a small structure");
        let information = (&raw const information).cast();
        check(SetInformationJobObject(
            job.as_raw_handle(),
            JobObjectExtendedLimitInformation,
            information,
            size,
        ))?;
        check(AssignProcessToJobObject(job.as_raw_handle(), GetCurrentProcess()))?;
        Ok(job)
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
