//! Wakes a wait from another thread, or at a set time.
#![allow(unsafe_code, reason = "waitable timers")]

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windows_sys::Win32::System::Threading::{
    CREATE_WAITABLE_TIMER_MANUAL_RESET, CancelWaitableTimer, CreateWaitableTimerExW, SetWaitableTimer,
    TIMER_MODIFY_STATE,
};

use windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;

use super::clock;
use super::event::Event;
use super::wait::{AsWaitSource, WaitSource};
use super::win32::{owned, raw};

/// Seconds from the first moment of the system's clock, 1601, to that of Unix, 1970.
const UNIX_EPOCH_AFTER: Duration = Duration::from_secs(11_644_473_600);

/// Nanoseconds in the unit of timers.
const UNIT_NANOS: u128 = 100;

/// Wakes a wait in one thread from any other one: it is ready from [`Notifier::notify`] to [`Notifier::clear`].
#[derive(Debug)]
pub struct Notifier {
    event: Event,
}

impl Notifier {
    /// Creates a notifier that is not ready.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub fn new() -> io::Result<Notifier> {
        Ok(Notifier { event: Event::new()? })
    }

    /// Makes it ready. Put the message into its queue before this call.
    pub fn notify(&self) {
        self.event.set();
    }

    /// Makes it not ready. Read the queue after this call: a message that arrives in between makes it ready again.
    pub fn clear(&self) {
        self.event.reset();
    }
}

impl AsWaitSource for Notifier {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource::from(self.event.as_handle())
    }
}

/// Wakes a wait at a set time on the clock that includes sleep ([`uptime`](super::clock::uptime)).
///
/// Windows has no timer on that clock. A relative timer stops while the computer sleeps (SetWaitableTimer, since
/// Windows 8). An absolute timer is due as soon as the computer wakes up, but follows the time of day. This sets both: it
/// is never late, and early only if the time of day is set forward meanwhile.
#[derive(Debug)]
pub struct Timer {
    relative: OwnedHandle,
    absolute: OwnedHandle,
}

impl Timer {
    /// Creates a timer that is not set.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub fn new() -> io::Result<Timer> {
        Ok(Timer { relative: new_timer()?, absolute: new_timer()? })
    }

    /// Sets the time from which on it is ready, or stops it with `None`. It is not ready until then, even if it was
    /// before.
    pub fn set(&self, at: Option<Duration>) {
        // Stopping does not change whether a timer is signaled (CancelWaitableTimer), setting does.
        let left = at.map_or(Duration::MAX, |at| at.saturating_sub(clock::uptime()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        set(&self.relative, units(left).saturating_neg().min(-1));
        set(&self.absolute, units(UNIX_EPOCH_AFTER.saturating_add(now).saturating_add(left)));
        if at.is_none() {
            cancel(&self.relative);
            cancel(&self.absolute);
        }
    }
}

impl AsWaitSource for Timer {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource::of_objects([self.relative.as_handle(), self.absolute.as_handle()])
    }
}

fn new_timer() -> io::Result<OwnedHandle> {
    let rights = TIMER_MODIFY_STATE | SYNCHRONIZE;
    // SAFETY: null means default rights and no name; the returned handle is new.
    unsafe {
        owned(CreateWaitableTimerExW(
            std::ptr::null(),
            std::ptr::null(),
            CREATE_WAITABLE_TIMER_MANUAL_RESET,
            rights,
        ))
    }
}

/// Sets a timer to a time in units of 100 ns: negative ones are relative.
fn set(timer: &OwnedHandle, at: i64) {
    // SAFETY: the handle is open and the time lives during the call. Without a function the call fails only for a handle
    // without this right.
    unsafe { SetWaitableTimer(raw(timer), &at, 0, None, std::ptr::null(), 0) };
}

fn cancel(timer: &OwnedHandle) {
    // SAFETY: the handle is open.
    unsafe { CancelWaitableTimer(raw(timer)) };
}

/// Rounds up, so that a timer is not early.
fn units(time: Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(UNIT_NANOS)).unwrap_or(i64::MAX)
}
