//! Conversions around calls of the Windows API: results, handles and strings.
#![allow(unsafe_code, reason = "takes ownership of new handles, and copies and waits for handles")]

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, INVALID_HANDLE_VALUE, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, WaitForSingleObject};
use windows_sys::core::BOOL;

/// Converts the result of a call that returns zero for an error.
///
/// # Errors
/// The last error of this thread, if the call failed.
pub(super) fn check(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes ownership of the handle that a call returned.
///
/// # Errors
/// The last error of this thread, if the call returned no handle.
///
/// # Safety
/// The handle is null, invalid, or new: nothing else owns it.
pub(super) unsafe fn owned(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is open, and the caller guarantees that nothing else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Returns the handle for a call. It is open at least as long as `object`.
pub(super) fn raw(object: &impl AsHandle) -> HANDLE {
    object.as_handle().as_raw_handle()
}

/// Returns the text as the system reads it: UTF-16, ended by NUL.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it contains NUL.
pub(super) fn wide(text: impl AsRef<OsStr>) -> io::Result<Vec<u16>> {
    let mut units: Vec<u16> = text.as_ref().encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it contains a NUL character"));
    }
    units.push(0);
    Ok(units)
}

/// Makes a copy of a handle that a started process can inherit. Close it soon: another program that is started without a
/// list of handles would inherit it too.
///
/// # Errors
/// If this process has no handle left.
pub(super) fn inheritable(object: &impl AsHandle) -> io::Result<OwnedHandle> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: the source is open during the call, which writes the new handle to a live local; nothing else owns it.
    unsafe {
        let this = GetCurrentProcess();
        check(DuplicateHandle(this, raw(object), this, &mut copy, 0, 1, DUPLICATE_SAME_ACCESS))?;
        owned(copy)
    }
}

/// Whether an object is signaled: a process that has ended, or an event that is set. Waits at most `timeout`.
pub(super) fn is_signaled_within(object: &impl AsHandle, timeout: Duration) -> bool {
    // The longest finite time is one less than INFINITE.
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    // SAFETY: the handle is open during the call.
    unsafe { WaitForSingleObject(raw(object), millis) == WAIT_OBJECT_0 }
}

/// Whether an object is signaled now.
pub(super) fn is_signaled(object: &impl AsHandle) -> bool {
    is_signaled_within(object, Duration::ZERO)
}
