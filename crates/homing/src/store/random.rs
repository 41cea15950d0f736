//! Randomness for names, and for spreading what would otherwise happen all at once.

use homing_supervisor::DiskError;
use rustix::rand::{GetRandomFlags, getrandom};

/// So many random bytes; at most 256, which are never cut short (getrandom(2)).
///
/// # Errors
/// When the system has none to give.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], DiskError> {
    const { assert!(N <= 256) }
    let mut bytes = [0; N];
    getrandom(&mut bytes, GetRandomFlags::empty()).map_err(|e| DiskError::new("read", "/dev/urandom", e))?;
    Ok(bytes)
}
