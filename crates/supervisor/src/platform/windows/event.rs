//! Events: objects that are signaled from a call that sets them to a call that resets them (CreateEventW).
#![allow(unsafe_code, reason = "CreateEventW, SetEvent and ResetEvent")]

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::sync::{Arc, OnceLock};

use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

use super::win32::{owned, raw};

/// A manual-reset event without a name. No other process can open it.
#[derive(Debug)]
pub(super) struct Event {
    handle: OwnedHandle,
}

impl Event {
    /// Creates an event that is not set.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub(super) fn new() -> io::Result<Event> {
        // SAFETY: null means default rights and no name; the returned handle is new.
        let handle = unsafe { owned(CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()))? };
        Ok(Event { handle })
    }

    /// Makes it signaled, until it is reset.
    pub(super) fn set(&self) {
        // SAFETY: the handle is open. The call fails only for a handle without this right.
        unsafe { SetEvent(raw(self)) };
    }

    /// Makes it not signaled.
    pub(super) fn reset(&self) {
        // SAFETY: as for `set`.
        unsafe { ResetEvent(raw(self)) };
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// An event that is created when it is needed first. It is set then.
#[derive(Debug, Default)]
pub(super) struct LazyEvent {
    event: OnceLock<Arc<Event>>,
}

impl LazyEvent {
    /// Returns the event, if it is needed already.
    pub(super) fn get(&self) -> Option<&Arc<Event>> {
        self.event.get()
    }

    /// Returns the event.
    ///
    /// # Errors
    /// As [`Event::new`].
    pub(super) fn get_or_create(&self) -> io::Result<&Arc<Event>> {
        if let Some(event) = self.get() {
            return Ok(event);
        }
        let event = Event::new()?;
        event.set();
        // Another thread may have been first: then both use its event.
        Ok(self.event.get_or_init(|| Arc::new(event)))
    }
}
