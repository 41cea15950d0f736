//! Random bytes from the system.
#![allow(unsafe_code, reason = "getentropy(2) has no safe wrapper")]

use std::io;

/// Returns `N` random bytes; at most 256, which the system never cuts short (getentropy(2)).
///
/// # Errors
/// If the system has no random numbers.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) }
    let mut bytes = [0; N];
    // SAFETY: the buffer has the given length.
    let result = unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), N) };
    if result == 0 { Ok(bytes) } else { Err(io::Error::last_os_error()) }
}
