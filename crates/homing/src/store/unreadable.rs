//! Jobs that could not be read when they were last observed, and why. Callers that list or show jobs report them.
//! Kept in memory, and updated by every observation.

use std::collections::BTreeMap;
use std::io;

use homing_core::JobId;
use homing_supervisor::DiskError;
use homing_supervisor::platform::errors;

/// Unreadable jobs by id.
pub(crate) type UnreadableJobs = BTreeMap<JobId, UnreadableJob>;

/// A job that could not be read when it was last observed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableJob {
    /// Its id.
    pub id: JobId,
    /// Why, as a text for the user.
    pub reason: String,
    /// Whether a retry may help. `false` if a file is damaged or a newer version of this program wrote it.
    pub may_pass: bool,
}

/// Whether this process or the system ran out of descriptors or memory.
pub(crate) fn is_shortage(error: &DiskError) -> bool {
    errors::is_shortage(&error.source)
}

/// Whether a retry may help.
pub(crate) fn may_pass(error: &DiskError) -> bool {
    match error.source.kind() {
        // serde_json returns these for a malformed or truncated document.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => false,
        // If the system returned it, the file system may become available again.
        io::ErrorKind::Unsupported => error.source.raw_os_error().is_some(),
        _ => true,
    }
}
