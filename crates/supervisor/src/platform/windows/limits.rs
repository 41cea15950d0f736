//! Limits of this process.

/// Returns how many handles this process may have open at the same time. Windows has no setting for it: a table of handles
/// has 2^24 places.
pub fn descriptors() -> u64 {
    1 << 24
}
