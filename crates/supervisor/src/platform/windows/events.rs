//! What a supervisor receives: the end of its job's processes, requests to end the job, and removals in its directory.
//! Also the request that other processes make.
//!
//! Requests are events with names that contain the supervisor's pid and creation time, one for each origin. Only the user
//! of the supervisor can open them. They are found from all sessions of that user.
#![allow(
    unsafe_code,
    reason = "named events, change notifications and console handlers have no safe wrapper"
)]

use std::ffi::OsString;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use homing_core::KilledBy;
use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GetLastError, HANDLE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_NAME_NORMALIZED, FILE_NOTIFY_CHANGE_FILE_NAME, FindCloseChangeNotification,
    FindFirstChangeNotificationW, FindNextChangeNotification, GetFinalPathNameByHandleW,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Threading::{
    CreateEventW, EVENT_MODIFY_STATE, OpenEventW, ResetEvent, SetEvent,
};
use windows_sys::core::BOOL;

use super::dir::{Directory, Pinned};
use super::event_queue::Queue;
use super::job_watch::JobWatch;
use super::registered_wait::RegisteredWait;
use super::security::SecurityDescriptor;
use super::wait::{AsWaitSource, WaitSource};
use super::win32::{check, is_signaled, owned, raw, wide};
use super::{ProcessIdentity, errors};

pub use super::event_queue::Received;

/// How long the system lets a process run that was asked to end at logoff or shutdown, at most.
const LONGEST_SHUTDOWN: Duration = Duration::from_secs(60);

/// The origins for which there are named events.
const ORIGINS: [KilledBy; 3] = [KilledBy::Session, KilledBy::Operator, KilledBy::Outside];

/// Whether this process has created its named events. Only then may they exist when it opens them again.
static HAS_EVENTS: AtomicBool = AtomicBool::new(false);

/// The queue of this process's supervisor, for the handler of its console.
static QUEUE_OF_CONSOLE: OnceLock<Arc<Queue>> = OnceLock::new();

/// The events of the supervisor in this process.
#[derive(Debug)]
pub struct SupervisorEvents {
    queue: Arc<Queue>,
    /// One for each of [`ORIGINS`]: set until it is read.
    requests: [OwnedHandle; 3],
    removals: Mutex<Option<Removals>>,
    job: Mutex<Option<JobWatch>>,
}

impl SupervisorEvents {
    /// Makes this process receive requests. Ctrl-C and Ctrl-Break have no effect on it any more. When the user logs off or
    /// the system shuts down, it receives a request as from the service manager.
    ///
    /// # Errors
    /// If the system has no memory left, or another process has taken the names of the events.
    pub fn open() -> io::Result<SupervisorEvents> {
        let this = ProcessIdentity::of_this_process().ok_or_else(errors::no_such_process)?;
        let queue = Arc::new(Queue::new()?);
        let [session, operator, outside] = ORIGINS.map(|by| create_event(&event_name(&this, by)));
        let events = SupervisorEvents {
            queue: Arc::clone(&queue),
            requests: [session?, operator?, outside?],
            removals: Mutex::new(None),
            job: Mutex::new(None),
        };
        HAS_EVENTS.store(true, Ordering::Relaxed);
        let _ = QUEUE_OF_CONSOLE.set(queue);
        // SAFETY: the handler may be called in another thread at any time, and uses only what is static.
        unsafe { check(SetConsoleCtrlHandler(Some(on_console_event), 1))? };
        Ok(events)
    }

    /// Queues [`Received::DirectoryChanged`] when a name in `directory` is created, removed or renamed. While these events
    /// live, no process can remove or rename the directory itself, unless it was about to: nothing reports that.
    ///
    /// # Errors
    /// If the system does not report changes on this file system.
    pub fn watch_removals(&self, directory: &Directory) -> io::Result<()> {
        let pinned = directory.pin().ok();
        let removals = Removals::watch(&path_of(directory)?, pinned, &self.queue)?;
        *locked(&self.removals) = Some(removals);
        Ok(())
    }

    /// Queues [`Received::ChildEnded`] when the main process of a job ends, and when no process of the job is left.
    pub(super) fn watch_job(&self, watch: impl FnOnce(Arc<Queue>) -> io::Result<JobWatch>) -> io::Result<()> {
        *locked(&self.job) = Some(watch(Arc::clone(&self.queue))?);
        Ok(())
    }

    /// Returns the next event; `None` if none is pending.
    pub fn next(&self) -> Option<Received> {
        for (request, by) in self.requests.iter().zip(ORIGINS) {
            if is_signaled(request) {
                // SAFETY: the handle is open during the call.
                unsafe { ResetEvent(raw(request)) };
                return Some(Received::KillRequested(by));
            }
        }
        let received = self.queue.pop()?;
        if received == Received::DirectoryChanged
            && let Some(removals) = &mut *locked(&self.removals)
        {
            // If it fails, later removals are not noticed.
            let _ = removals.continue_watching(&self.queue);
        }
        Some(received)
    }
}

impl AsWaitSource for SupervisorEvents {
    fn as_wait_source(&self) -> WaitSource<'_> {
        let [session, operator, outside] = &self.requests;
        WaitSource::of_objects([
            self.queue.as_handle(),
            session.as_handle(),
            operator.as_handle(),
            outside.as_handle(),
        ])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs in a thread of the system when the console of this process has an event. Ctrl-C and Ctrl-Break are ignored. All
/// others end the process when this returns.
unsafe extern "system" fn on_console_event(event: u32) -> BOOL {
    if event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT {
        if let Some(queue) = QUEUE_OF_CONSOLE.get() {
            queue.push(Received::KillRequested(KilledBy::ServiceManager));
        }
        std::thread::sleep(LONGEST_SHUTDOWN);
    }
    1
}

/// A watch of the names in a directory.
#[derive(Debug)]
struct Removals {
    wait: Option<RegisteredWait>,
    notification: Notification,
    _pinned: Option<Pinned>,
}

/// The handle of a change notification, which is closed by a function of its own.
#[derive(Debug)]
struct Notification(HANDLE);

// SAFETY: the handle belongs to no thread.
unsafe impl Send for Notification {}

impl Drop for Notification {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and only this closes it.
        unsafe { FindCloseChangeNotification(self.0) };
    }
}

impl Removals {
    fn watch(path: &OsString, pinned: Option<Pinned>, queue: &Arc<Queue>) -> io::Result<Removals> {
        let path = wide(path)?;
        // SAFETY: the path lives during the call.
        let handle = unsafe { FindFirstChangeNotificationW(path.as_ptr(), 0, FILE_NOTIFY_CHANGE_FILE_NAME) };
        if handle.is_null() || handle == windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        let mut removals = Removals { wait: None, notification: Notification(handle), _pinned: pinned };
        removals.register(queue)?;
        Ok(removals)
    }

    fn continue_watching(&mut self, queue: &Arc<Queue>) -> io::Result<()> {
        // SAFETY: the handle is open during the call.
        unsafe { check(FindNextChangeNotification(self.notification.0))? };
        self.register(queue)
    }

    fn register(&mut self, queue: &Arc<Queue>) -> io::Result<()> {
        let queue = Arc::clone(queue);
        // SAFETY: the handle is open as long as the notification, which is longer than this borrow.
        let handle = unsafe { std::os::windows::io::BorrowedHandle::borrow_raw(self.notification.0) };
        self.wait = Some(RegisteredWait::new(handle, move || queue.push(Received::DirectoryChanged))?);
        Ok(())
    }
}

/// Returns the path of an open directory.
fn path_of(directory: &Directory) -> io::Result<OsString> {
    let mut path = vec![0u16; 0x8000];
    let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
    // SAFETY: the handle is open; the buffer has the given length.
    let used =
        unsafe { GetFinalPathNameByHandleW(raw(directory), path.as_mut_ptr(), length, FILE_NAME_NORMALIZED) };
    match path.get(..used as usize) {
        Some(found) if used > 0 => Ok(OsString::from_wide(found)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The name of the event for requests of this origin to a supervisor.
fn event_name(supervisor: &ProcessIdentity, by: KilledBy) -> String {
    let origin = match by {
        KilledBy::Session => "session",
        KilledBy::Operator => "operator",
        KilledBy::Outside | KilledBy::ServiceManager => "outside",
    };
    format!(r"Global\homing-kill-{}-{}-{origin}", supervisor.pid, supervisor.start_ticks)
}

/// Creates an event that stays set until it is reset, and that only this user can open.
fn create_event(name: &str) -> io::Result<OwnedHandle> {
    let name = wide(name)?;
    let attributes = SecurityDescriptor::private_object()?.attributes();
    // SAFETY: attributes and name live during the call; the new handle has no other owner.
    let (event, exists) = unsafe {
        let event = owned(CreateEventW(&attributes, 1, 0, name.as_ptr()));
        (event, GetLastError() == ERROR_ALREADY_EXISTS)
    };
    if exists && !HAS_EVENTS.load(Ordering::Relaxed) {
        return Err(io::Error::from_raw_os_error(ERROR_ALREADY_EXISTS.cast_signed()));
    }
    event
}

/// Asks a supervisor to end its job, with the origin of the request.
///
/// # Errors
/// [`errors::is_no_such_process`] if the supervisor has ended. [`io::ErrorKind::NotFound`] if it does not receive requests
/// yet, or is not a supervisor.
pub fn request_kill(supervisor: &ProcessIdentity, by: KilledBy) -> io::Result<()> {
    // Its pid is not reused while this handle is open.
    let _process = supervisor.open()?;
    let name = wide(event_name(supervisor, by))?;
    // SAFETY: the name lives during the call; the new handle has no other owner.
    unsafe {
        let event = owned(OpenEventW(EVENT_MODIFY_STATE, 0, name.as_ptr()))?;
        check(SetEvent(raw(&event)))
    }
}
