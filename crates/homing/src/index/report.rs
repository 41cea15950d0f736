//! What an update of the ledger found.

use homing_core::JobId;
use homing_supervisor::DiskError;

/// What a sync found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncReport {
    /// Jobs whose state the ledger did not know yet.
    pub updated: Vec<JobId>,
    /// Jobs that could not be read, and why. Their directories are left as they are.
    pub unreadable: Vec<(JobId, DiskError)>,
    /// Jobs whose supervisor died, and whose end nobody has recorded yet: [`Homing::recover`](crate::Homing::recover) does that.
    pub abandoned: Vec<JobId>,
    /// Jobs that run on another host, or behind a network file system, and about which nothing can be concluded here.
    pub unreachable: Vec<JobId>,
    /// Jobs whose doorbell rang.
    pub(crate) rung: Vec<JobId>,
}
