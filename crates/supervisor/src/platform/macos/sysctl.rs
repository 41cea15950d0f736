//! Reads values of the kernel (sysctl(3)).
#![allow(unsafe_code, reason = "sysctl(3) has no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::ptr;

/// The longest text that is read, in bytes.
const MAX_TEXT: usize = 256;

/// The most that the arguments and the environment of a process take (`ARG_MAX`, execve(2)), in bytes.
const ARG_MAX: usize = 1 << 20;

/// Returns a value that is a text.
///
/// # Errors
/// If the kernel does not have it.
pub(super) fn text(name: &CStr) -> io::Result<String> {
    let mut buffer = [0u8; MAX_TEXT];
    let mut length = buffer.len();
    // SAFETY: the name ends with NUL, and the buffer has the given length; the kernel writes both locals only.
    let result = unsafe {
        libc::sysctlbyname(name.as_ptr(), buffer.as_mut_ptr().cast(), &mut length, ptr::null_mut(), 0)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = &buffer[..length.min(MAX_TEXT)];
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Returns the arguments and the environment that a process was started with, as `KERN_PROCARGS2` has them: the number of
/// arguments in four bytes, the path of the program, arguments, environment.
///
/// # Errors
/// If the process has ended or belongs to another user.
pub(super) fn process_arguments(pid: u32) -> io::Result<Vec<u8>> {
    let pid = libc::c_int::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, pid];
    // The kernel returns the end of the data, not its beginning, if the buffer is too short. So take the longest.
    let mut buffer: Vec<u8> = Vec::with_capacity(ARG_MAX);
    let mut length = ARG_MAX;
    // SAFETY: the name has three words, and the buffer has room for the given length. Afterwards `length` is the number of
    // bytes that the kernel has written.
    unsafe {
        let data = buffer.as_mut_ptr().cast();
        if libc::sysctl(name.as_mut_ptr(), 3, data, &mut length, ptr::null_mut(), 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        buffer.set_len(length.min(ARG_MAX));
    }
    buffer.shrink_to_fit();
    Ok(buffer)
}
