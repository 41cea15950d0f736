//! The user of this process.

/// Returns the effective user id of this process.
pub fn effective_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
