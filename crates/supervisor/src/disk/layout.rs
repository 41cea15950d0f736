//! The layout of a home: the names of its files, the directories that contain them, and the inbox.

use homing_core::JobId;

use crate::disk::error::DiskError;

pub use crate::disk::directory::{Directory, read_bounded};
pub use crate::names::{
    INBOX, JOBS, LEDGER, LOCK, MONITOR_LOCK, OUTPUT_HEAD, OUTPUT_TAIL, RECORD, SCRIPT, SPEC, SPEC_NEW, STAGE,
};

/// Notifies watchers of the inbox that a job has changed, through an empty file with the job's id. Each call is a new
/// event, because it opens the file for writing and closes it (inotify(7), `IN_CLOSE_WRITE`).
///
/// # Errors
/// If the file cannot be created.
pub fn notify_change(inbox: &Directory, id: JobId) -> Result<(), DiskError> {
    inbox.open_or_create(id.as_str()).map(drop)
}
