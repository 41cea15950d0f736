//! The result of an update of the ledger.

use homing_core::JobId;
use homing_supervisor::DiskError;

/// The result of a sync.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// Jobs whose state changed in the ledger.
    pub updated: Vec<JobId>,
    /// Jobs that could not be read, and why. Their directories are not changed.
    pub unreadable: Vec<(JobId, DiskError)>,
    /// Jobs whose supervisor died before it recorded the outcome. Call [`Homing::recover`](crate::Homing::recover).
    pub abandoned: Vec<JobId>,
    /// Jobs that run on another host or behind a network file system, and whose state is unknown here.
    pub unreachable: Vec<JobId>,
    /// Jobs that have an inbox entry.
    pub(crate) with_inbox_entry: Vec<JobId>,
}
