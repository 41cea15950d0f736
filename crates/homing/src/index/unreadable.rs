//! Jobs that could not be read when they were last looked at, and why: for callers that list or show jobs, so that such
//! a job is not missing without a word. Kept in memory; every look finds out anew.

use std::collections::BTreeMap;
use std::io;

use homing_core::JobId;
use homing_supervisor::DiskError;
use rustix::io::Errno;

/// Jobs and what was wrong with them, by id.
pub(crate) type UnreadableJobs = BTreeMap<JobId, UnreadableJob>;

/// A job that could not be read when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableJob {
    /// Which.
    pub id: JobId,
    /// Why, for people.
    pub reason: String,
    /// Whether looking again may help: not where a file is damaged, or was written by a newer version of this program.
    pub may_pass: bool,
}

/// Whether this process, or the machine, had too little of something: descriptors or memory.
pub(crate) fn is_shortage(error: &DiskError) -> bool {
    matches!(Errno::from_io_error(&error.source), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// Whether looking again may help.
pub(crate) fn may_pass(error: &DiskError) -> bool {
    match error.source.kind() {
        // What serde_json answers for a document that is wrong, or is cut short.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => false,
        // Where the system says so, it may be a file system that comes and goes.
        io::ErrorKind::Unsupported => error.source.raw_os_error().is_some(),
        _ => true,
    }
}
