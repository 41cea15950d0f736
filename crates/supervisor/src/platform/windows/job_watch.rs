//! Reports the end of a job's main process, and that no process of the job is left. A thread receives the messages of
//! the job object from a completion port.
#![allow(unsafe_code, reason = "completion ports have no safe wrapper")]

use std::io;
use std::os::windows::io::{BorrowedHandle, OwnedHandle};
use std::ptr::null_mut;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::SystemServices::JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO;
use windows_sys::Win32::System::Threading::INFINITE;

use super::event_queue::{Queue, Received};
use super::job_object::JobObject;
use super::registered_wait::RegisteredWait;
use super::win32::{check, owned, raw};

/// Keys of the packets: a message of the job object, the end of the main process, the end of the watch.
const MESSAGE: usize = 1;
const MAIN_ENDED: usize = 2;
const STOP: usize = 3;

/// The system does not guarantee that a message arrives. After the main process has ended, the job object is therefore
/// also asked whether it is empty, in growing intervals between these two.
const FIRST_CHECK: Duration = Duration::from_millis(20);
const LONGEST_CHECK: Duration = Duration::from_secs(60);

/// The thread calls few functions.
const STACK_BYTES: usize = 64 << 10;

/// A watch of one job. Dropping it ends its thread.
#[derive(Debug)]
pub(super) struct JobWatch {
    port: Arc<OwnedHandle>,
    thread: Option<JoinHandle<()>>,
    _main: RegisteredWait,
}

impl JobWatch {
    /// Begins to watch. Call it before the first process of the job runs.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub(super) fn begin(
        job: &Arc<JobObject>,
        main: BorrowedHandle<'_>,
        queue: Arc<Queue>,
    ) -> io::Result<JobWatch> {
        // SAFETY: the call creates a port without files; the new handle has no other owner.
        let port = unsafe { owned(CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, 1))? };
        let port = Arc::new(port);
        job.report_to(&*port, MESSAGE)?;
        let for_main = Arc::clone(&port);
        let main = RegisteredWait::new(main, move || {
            let _ = post(&for_main, MAIN_ENDED);
        })?;
        let watched = Arc::clone(&port);
        let thread = thread::Builder::new().name("job".to_owned()).stack_size(STACK_BYTES);
        // The watch must not keep the job object open: it ends its processes when its last handle is closed.
        let job = Arc::downgrade(job);
        let thread = thread.spawn(move || watch(&watched, &job, &queue))?;
        Ok(JobWatch { port, thread: Some(thread), _main: main })
    }
}

impl Drop for JobWatch {
    fn drop(&mut self) {
        if post(&self.port, STOP).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn watch(port: &OwnedHandle, job: &Weak<JobObject>, queue: &Queue) {
    let mut check_after: Option<Duration> = None;
    loop {
        match next(port, check_after) {
            Some((MESSAGE, JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO)) => {
                check_after = None;
                queue.push(Received::ChildEnded);
            }
            Some((MAIN_ENDED, _)) => {
                check_after = Some(FIRST_CHECK);
                queue.push(Received::ChildEnded);
            }
            Some((STOP, _)) => return,
            Some(_) => {}
            None => match job.upgrade().map(|job| job.active_processes()) {
                Some(Ok(0)) => {
                    check_after = None;
                    queue.push(Received::ChildEnded);
                }
                Some(Ok(_) | Err(_)) => {
                    check_after = check_after.map(|pause| (pause * 2).min(LONGEST_CHECK));
                }
                None => check_after = None,
            },
        }
    }
}

/// Returns the next packet, key and message; `None` after the timeout.
fn next(port: &OwnedHandle, timeout: Option<Duration>) -> Option<(usize, u32)> {
    let millis = timeout.map_or(INFINITE, |timeout| u32::try_from(timeout.as_millis()).unwrap_or(INFINITE));
    let (mut message, mut key, mut overlapped) = (0, 0, null_mut());
    // SAFETY: the port is open, and the call writes to live locals.
    let found =
        unsafe { GetQueuedCompletionStatus(raw(port), &mut message, &mut key, &mut overlapped, millis) };
    (found != 0).then_some((key, message))
}

fn post(port: &OwnedHandle, key: usize) -> io::Result<()> {
    // SAFETY: the port is open; a packet may have no structure.
    unsafe { check(PostQueuedCompletionStatus(raw(port), 0, key, null_mut())) }
}
