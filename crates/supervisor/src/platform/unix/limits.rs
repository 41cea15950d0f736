//! Limits of this process.

use rustix::process::{Resource, getrlimit};

/// Returns how many descriptors this process may have open at the same time (getrlimit(2)).
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
