//! A program that a service manager starts and that keeps a log of its own.
#![allow(unsafe_code, reason = "standard handles and the console have no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::windows::io::IntoRawHandle;

use windows_sys::Win32::System::Console::{FreeConsole, STD_ERROR_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle};

/// Makes this process write its standard output and standard error to a file, and leave its console, so that the console's
/// window closes.
///
/// # Errors
/// If this process has no handle left.
pub fn log_to(file: &File) -> io::Result<()> {
    for stream in [STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // The stream keeps the handle until this process ends.
        let handle = file.try_clone()?.into_raw_handle();
        // SAFETY: the handle is open and stays open.
        if unsafe { SetStdHandle(stream, handle) } == 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the call has no requirements. It fails without a console.
    unsafe { FreeConsole() };
    Ok(())
}
