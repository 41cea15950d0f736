//! Calls a function in the system's pool of threads when an object becomes signaled (RegisterWaitForSingleObject).
#![allow(unsafe_code, reason = "RegisterWaitForSingleObject calls a function with a number of ours")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::io;
use std::os::windows::io::{BorrowedHandle, OwnedHandle};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

use super::win32::{check, raw};

type Act = Box<dyn FnOnce() + Send>;

/// What is still to be called. The system gets only a number: a call that comes too late finds nothing.
static ACTS: Mutex<Option<HashMap<usize, Act>>> = Mutex::new(None);

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// A function that is called once, when an object becomes signaled. Dropping this prevents the call, unless it has
/// begun. It does not wait for a call that has begun, so the function may drop it.
#[derive(Debug)]
pub(super) struct RegisteredWait {
    number: usize,
    wait: HANDLE,
    /// Open as long as the system waits for it.
    _object: OwnedHandle,
}

// SAFETY: the handle of a wait belongs to no thread, and only `drop` uses it.
unsafe impl Send for RegisteredWait {}
// SAFETY: as above.
unsafe impl Sync for RegisteredWait {}

impl RegisteredWait {
    /// Calls `act` when the object becomes signaled, or at once if it is. Keeps its own copy of the handle.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub(super) fn new(
        object: BorrowedHandle<'_>,
        act: impl FnOnce() + Send + 'static,
    ) -> io::Result<RegisteredWait> {
        let object = object.try_clone_to_owned()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        acts().get_or_insert_default().insert(number, Box::new(act));
        let mut wait: HANDLE = std::ptr::null_mut();
        let context = std::ptr::without_provenance::<c_void>(number);
        // SAFETY: the object is open until the wait is unregistered; the context is a number; the wait's handle is
        // written to a live local.
        let registered = check(unsafe {
            RegisterWaitForSingleObject(
                &mut wait,
                raw(&object),
                Some(call),
                context,
                INFINITE,
                WT_EXECUTEONLYONCE,
            )
        });
        if let Err(error) = registered {
            drop(take(number));
            return Err(error);
        }
        Ok(RegisteredWait { number, wait, _object: object })
    }
}

impl Drop for RegisteredWait {
    fn drop(&mut self) {
        drop(take(self.number));
        // SAFETY: the wait was registered, and is unregistered once. Without an event the call does not wait, so it is
        // allowed inside of the function that is called.
        unsafe { UnregisterWaitEx(self.wait, std::ptr::null_mut()) };
    }
}

unsafe extern "system" fn call(context: *mut c_void, _timed_out: bool) {
    // Not under the lock: the function may register another wait.
    if let Some(act) = take(context.addr()) {
        act();
    }
}

fn take(number: usize) -> Option<Act> {
    acts().as_mut().and_then(|acts| acts.remove(&number))
}

fn acts() -> MutexGuard<'static, Option<HashMap<usize, Act>>> {
    ACTS.lock().unwrap_or_else(PoisonError::into_inner)
}
