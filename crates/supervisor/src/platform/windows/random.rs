//! Random bytes from the system.
#![allow(unsafe_code, reason = "BCryptGenRandom has no safe wrapper")]

use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};

use super::nt::error_of;

/// Returns `N` random bytes; at most 256.
///
/// # Errors
/// If the system has no random numbers.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) }
    let mut bytes = [0; N];
    let length = u32::try_from(N).expect("at most 256");
    // SAFETY: the buffer has this length; without an algorithm, the flag selects the generator of the system.
    let status =
        unsafe { BCryptGenRandom(null_mut(), bytes.as_mut_ptr(), length, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
    if status < 0 { Err(error_of(status)) } else { Ok(bytes) }
}
