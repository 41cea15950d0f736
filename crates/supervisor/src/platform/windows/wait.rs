//! Waits for several things at once, with a timeout.
//!
//! A [`WaitSource`] stands for anything that can become ready: a pipe, a process, a change notification, a timer. Most are
//! objects of the system that are signaled while they are ready. The ends of pipes of other programs have no such
//! object, and nothing tells when the other end of a pipe is closed: these are asked again and again.
#![allow(unsafe_code, reason = "WaitForMultipleObjects")]

mod source;

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle};
use std::sync::Arc;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{HANDLE, WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::SystemServices::MAXIMUM_WAIT_OBJECTS;
use windows_sys::Win32::System::Threading::{INFINITE, WaitForMultipleObjects};

use super::event::Event;
use super::registered_wait::RegisteredWait;

use source::Check;
#[cfg(feature = "async")]
pub(super) use source::no_object;
pub use source::{AsWaitSource, OwnedWaitSource, WaitGroup, WaitSource};

/// How many objects the system waits for at once.
const MAX_WAITED: usize = MAXIMUM_WAIT_OBJECTS as usize;

/// How often sources are asked that nothing signals.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The longest wait of the system that is not endless, in milliseconds.
const LONGEST: u32 = INFINITE - 1;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// At least one source is ready.
    Ready,
    /// The timeout expired.
    TimedOut,
    /// This thread handled a signal. Never on Windows, where another thread handles Ctrl-C.
    Interrupted,
}

/// Waits until one of the sources is ready or the timeout expires. Without sources, this is a sleep. `None` waits without
/// a time limit; a timeout of zero does not wait. Any number of sources is allowed: the system's pool of threads waits
/// for those beyond 63.
///
/// # Errors
/// If the system has no memory left.
pub fn wait(sources: &[WaitSource<'_>], timeout: Option<Duration>) -> io::Result<WaitEnd> {
    let mut waited = Waited::default();
    for source in sources {
        match source.check() {
            Check::Objects(objects) => objects.for_each(|object| waited.add(object)),
            Check::Always => return Ok(WaitEnd::Ready),
            Check::Never => {}
            Check::Ask(question) => {
                if question.is_ready() {
                    return Ok(WaitEnd::Ready);
                }
                waited.must_ask = true;
            }
        }
    }
    let _registered = waited.pass_on_excess()?;
    // Time passes for this clock during sleep, so a wait ends early after it rather than late.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let pause = if waited.must_ask { Some(left.unwrap_or(ASK_EVERY).min(ASK_EVERY)) } else { left };
        if wait_for_objects(&waited.handles, pause)? {
            return Ok(WaitEnd::Ready);
        }
        if waited.must_ask && sources.iter().any(WaitSource::is_ready_when_asked) {
            return Ok(WaitEnd::Ready);
        }
        // Ask the clock: the system rounds times to its own ticks, and may be too early by one.
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(WaitEnd::TimedOut);
        }
    }
}

/// Waits at most `timeout` until the source is ready. Returns whether it is.
///
/// # Errors
/// As [`wait`].
pub fn is_ready_within(source: WaitSource<'_>, timeout: Duration) -> io::Result<bool> {
    Ok(wait(&[source], Some(timeout))? == WaitEnd::Ready)
}

/// The objects of all sources of a wait.
#[derive(Default)]
struct Waited<'a> {
    handles: Vec<HANDLE>,
    objects: Vec<BorrowedHandle<'a>>,
    /// Represents the objects that are too many.
    excess: Option<Arc<Event>>,
    must_ask: bool,
}

impl<'a> Waited<'a> {
    fn add(&mut self, object: BorrowedHandle<'a>) {
        // The system refuses to wait for the same handle twice.
        if !self.handles.contains(&object.as_raw_handle()) {
            self.handles.push(object.as_raw_handle());
            self.objects.push(object);
        }
    }

    /// Leaves no more objects than the system waits for. An event represents the others, as long as the result lives.
    fn pass_on_excess(&mut self) -> io::Result<Vec<RegisteredWait>> {
        if self.handles.len() <= MAX_WAITED {
            return Ok(Vec::new());
        }
        let event = Arc::new(Event::new()?);
        let mut registered = Vec::new();
        for object in &self.objects[MAX_WAITED - 1..] {
            let event = Arc::clone(&event);
            registered.push(RegisteredWait::new(*object, move || event.set())?);
        }
        self.handles.truncate(MAX_WAITED - 1);
        self.objects.truncate(MAX_WAITED - 1);
        self.handles.push(event.as_handle().as_raw_handle());
        self.excess = Some(event);
        Ok(registered)
    }
}

/// Waits until an object is signaled. Returns whether one is.
fn wait_for_objects(handles: &[HANDLE], timeout: Option<Duration>) -> io::Result<bool> {
    let millis = timeout.map_or(INFINITE, |timeout| {
        let rounded_up = timeout.as_nanos().div_ceil(1_000_000);
        u32::try_from(rounded_up).unwrap_or(LONGEST).min(LONGEST)
    });
    let Ok(count) = u32::try_from(handles.len()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    if count == 0 {
        match timeout {
            Some(timeout) => std::thread::sleep(timeout),
            None => std::thread::park(),
        }
        return Ok(false);
    }
    // SAFETY: the handles are borrowed from the sources of the caller, so they are open during the call.
    match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, millis) } {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        WAIT_TIMEOUT => Ok(false),
        // The index of an object.
        _ => Ok(true),
    }
}
