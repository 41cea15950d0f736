//! Job objects: groups of processes that the system counts, ends as a whole, and does not let escape.
#![allow(unsafe_code, reason = "job objects have no safe wrapper")]

use std::io;
use std::mem::zeroed;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::ptr::{from_mut, from_ref, null, null_mut};
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_MORE_DATA, GetLastError, HANDLE};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob, JOBOBJECT_ASSOCIATE_COMPLETION_PORT,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
    JobObjectAssociateCompletionPortInformation, JobObjectBasicAccountingInformation,
    JobObjectBasicProcessIdList, JobObjectExtendedLimitInformation, OpenJobObjectW,
    QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::SystemServices::{JOB_OBJECT_QUERY, JOB_OBJECT_TERMINATE};

use super::security::SecurityDescriptor;
use super::win32::{check, owned, raw, wide};

/// The exit code of the processes of a job object that is ended, as that of `taskkill /F`.
pub(super) const KILLED_EXIT_CODE: u32 = 1;

/// The first attempt to list the processes of a job object has room for this many.
const EXPECTED_PROCESSES: usize = 64;

/// Words before the list of processes in `JOBOBJECT_BASIC_PROCESS_ID_LIST`: two 32-bit counts.
const HEADER_WORDS: usize = 8 / size_of::<usize>();

/// An open job object.
#[derive(Debug)]
pub(super) struct JobObject {
    handle: OwnedHandle,
}

/// Resources that the processes of a job object have used, including ended ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JobUsage {
    /// Processor time.
    pub(super) cpu: Duration,
    /// The largest memory that one of the processes has committed, in bytes.
    pub(super) peak_memory_bytes: u64,
}

impl JobObject {
    /// Creates a job object with these limits (`JOB_OBJECT_LIMIT_…`). Only this user can open it by its name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if another object has the name.
    pub(super) fn create(name: Option<&str>, limits: u32) -> io::Result<JobObject> {
        let name = name.map(wide).transpose()?;
        let attributes = SecurityDescriptor::private_object()?.attributes();
        // SAFETY: attributes and name live during the call; the new handle has no other owner.
        let (handle, exists) = unsafe {
            let handle = owned(CreateJobObjectW(&attributes, name.as_ref().map_or(null(), Vec::as_ptr)));
            (handle, GetLastError() == ERROR_ALREADY_EXISTS)
        };
        let job = JobObject { handle: handle? };
        if exists && name.is_some() {
            return Err(io::Error::from_raw_os_error(ERROR_ALREADY_EXISTS.cast_signed()));
        }
        // SAFETY: zeros are a valid value of this plain structure.
        let mut information: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = unsafe { zeroed() };
        information.BasicLimitInformation.LimitFlags = limits;
        job.set(JobObjectExtendedLimitInformation, &information)?;
        Ok(job)
    }

    /// Opens the job object with this name, to list its processes and to end them.
    ///
    /// # Errors
    /// If it does not exist, or belongs to another user.
    pub(super) fn open(name: &str) -> io::Result<JobObject> {
        let name = wide(name)?;
        // SAFETY: the name lives during the call; the new handle has no other owner.
        let handle =
            unsafe { owned(OpenJobObjectW(JOB_OBJECT_QUERY | JOB_OBJECT_TERMINATE, 0, name.as_ptr()))? };
        Ok(JobObject { handle })
    }

    /// Moves a process into it. Processes that it starts from now on are inside too.
    ///
    /// # Errors
    /// If the process has ended, or is in a job object that allows none inside it.
    pub(super) fn assign(&self, process: BorrowedHandle<'_>) -> io::Result<()> {
        // SAFETY: both handles are open during the call.
        unsafe { check(AssignProcessToJobObject(raw(self), raw(&process))) }
    }

    /// Ends all its processes at once.
    ///
    /// # Errors
    /// If this user may not end one of them.
    pub(super) fn terminate(&self) -> io::Result<()> {
        // SAFETY: the handle is open during the call.
        unsafe { check(TerminateJobObject(raw(self), KILLED_EXIT_CODE)) }
    }

    /// Whether this process is inside. The handle needs the right PROCESS_QUERY_INFORMATION.
    pub(super) fn contains(&self, process: BorrowedHandle<'_>) -> bool {
        let mut is_inside = 0;
        // SAFETY: both handles are open during the call, which writes to a live local.
        unsafe { IsProcessInJob(raw(&process), raw(self), &mut is_inside) != 0 && is_inside != 0 }
    }

    /// Returns the pids of its running processes.
    ///
    /// # Errors
    /// If the system does not answer.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut words = vec![0usize; HEADER_WORDS + EXPECTED_PROCESSES];
        loop {
            let bytes = u32::try_from(size_of_val(&words[..])).unwrap_or(u32::MAX);
            let buffer = words.as_mut_ptr().cast();
            // SAFETY: the buffer has the given size, and the alignment of the structure, whose ids are words.
            let result = unsafe {
                let job = raw(self);
                check(QueryInformationJobObject(job, JobObjectBasicProcessIdList, buffer, bytes, null_mut()))
            };
            match result {
                Err(error) if error.raw_os_error() == Some(ERROR_MORE_DATA.cast_signed()) => {
                    words = vec![0; words.len() * 2];
                }
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        // The second count, which is the upper half of the first word on 64-bit systems.
        let listed = if HEADER_WORDS == 1 { words[0] >> (usize::BITS / 2) } else { words[1] };
        let pids = words[HEADER_WORDS..].iter().take(listed);
        Ok(pids.filter_map(|pid| u32::try_from(*pid).ok()).collect())
    }

    /// Returns how many of its processes run.
    ///
    /// # Errors
    /// If the system does not answer.
    pub(super) fn active_processes(&self) -> io::Result<u32> {
        Ok(self.accounting()?.ActiveProcesses)
    }

    /// Returns the resources that its processes have used; zeros if the system does not say.
    pub(super) fn usage(&self) -> JobUsage {
        // In units of 100 ns.
        let nanos = |time: i64| Duration::from_nanos(u64::try_from(time).unwrap_or(0).saturating_mul(100));
        let cpu = self.accounting().map(|times| nanos(times.TotalUserTime) + nanos(times.TotalKernelTime));
        // SAFETY: zeros are a valid value of this plain structure.
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = unsafe { zeroed() };
        let peak = self.get(JobObjectExtendedLimitInformation, &mut limits);
        JobUsage {
            cpu: cpu.unwrap_or_default(),
            peak_memory_bytes: peak.map_or(0, |()| limits.PeakProcessMemoryUsed as u64),
        }
    }

    /// Makes the system post a packet with `key` to a completion port when a process starts or ends.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn report_to(&self, port: &impl AsHandle, key: usize) -> io::Result<()> {
        let association = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
            CompletionKey: std::ptr::without_provenance_mut(key),
            CompletionPort: raw(port),
        };
        self.set(JobObjectAssociateCompletionPortInformation, &association)
    }

    fn accounting(&self) -> io::Result<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> {
        // SAFETY: zeros are a valid value of this plain structure.
        let mut accounting: JOBOBJECT_BASIC_ACCOUNTING_INFORMATION = unsafe { zeroed() };
        self.get(JobObjectBasicAccountingInformation, &mut accounting)?;
        Ok(accounting)
    }

    fn get<T>(&self, class: JOBOBJECTINFOCLASS, information: &mut T) -> io::Result<()> {
        // SAFETY: each caller passes the plain structure of the class, which lives during the call.
        unsafe { query(raw(self), class, information) }
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, information: &T) -> io::Result<()> {
        let bytes = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
        // SAFETY: each caller passes the plain structure of the class, which lives during the call.
        unsafe { check(SetInformationJobObject(raw(self), class, from_ref(information).cast(), bytes)) }
    }
}

impl AsHandle for JobObject {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// Whether this process is in a job object, of which programs in it usually know nothing.
pub(super) fn is_this_process_inside_one() -> bool {
    // SAFETY: the pseudo handle of this process is always valid.
    is_inside_one(unsafe { windows_sys::Win32::System::Threading::GetCurrentProcess() })
}

/// Whether a process is in any job object.
pub(super) fn is_in_any(process: &impl AsHandle) -> bool {
    is_inside_one(raw(process))
}

fn is_inside_one(process: HANDLE) -> bool {
    let mut is_inside = 0;
    // SAFETY: the handle is open; null means any job object; the call writes to a local.
    unsafe { IsProcessInJob(process, null_mut(), &mut is_inside) != 0 && is_inside != 0 }
}

/// Returns the limits (`JOB_OBJECT_LIMIT_…`) of the innermost job object of this process.
///
/// # Errors
/// If this process is not in a job object.
pub(super) fn limits_of_this_process() -> io::Result<u32> {
    // SAFETY: zeros are a valid value of the plain structure, which lives during the call; null means the innermost job
    // object of this process.
    unsafe {
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = zeroed();
        query(null_mut(), JobObjectExtendedLimitInformation, &mut limits)?;
        Ok(limits.BasicLimitInformation.LimitFlags)
    }
}

/// Fills a structure with what the system knows about a job object.
///
/// # Safety
/// `T` is the plain structure of the class; the handle is open or null.
unsafe fn query<T>(job: HANDLE, class: JOBOBJECTINFOCLASS, information: &mut T) -> io::Result<()> {
    let bytes = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
    // SAFETY: the caller guarantees that the structure has the size that the class needs.
    unsafe { check(QueryInformationJobObject(job, class, from_mut(information).cast(), bytes, null_mut())) }
}
