//! The layout of a home: the names of its files, the directories that contain them, and the inbox.

use homing_core::JobId;

use crate::disk::error::DiskError;
use crate::platform::file;

pub use crate::disk::directory::{Directory, read_bounded};
pub use crate::names::{
    INBOX, JOBS, LEDGER, LOCK, MONITOR_LOCK, OUTPUT_HEAD, OUTPUT_TAIL, RECORD, SPEC, SPEC_NEW, STAGE,
};

/// Notifies watchers of the inbox that a job has changed, through a file with the job's id. Each call is a new
/// event ([`file::announce_write`]).
///
/// # Errors
/// If the file cannot be created.
pub fn notify_change(inbox: &Directory, id: JobId) -> Result<(), DiskError> {
    let entry = inbox.open_or_create(id.as_str())?;
    file::announce_write(&entry).map_err(|error| inbox.error("write", id.as_str(), error))
}
