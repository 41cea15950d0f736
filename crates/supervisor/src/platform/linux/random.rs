//! Random bytes from the system.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Returns `N` random bytes; at most 256, which the system never cuts short (getrandom(2)).
///
/// # Errors
/// If the system has no random numbers.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    const { assert!(N <= 256) }
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(bytes)
}
