//! One job under supervision: where everything about it is, and how its end is made known.

use homing_core::JobId;

use crate::layout::{self, Directory, INBOX, RECORD, SPEC};
use crate::record::{FinishedRecord, Record};
use crate::{DiskError, crash_point};

/// One job under supervision.
#[derive(Debug)]
pub(crate) struct Supervision {
    pub(crate) id: JobId,
    pub(crate) directory: Directory,
    pub(crate) record: Record,
}

impl Supervision {
    /// Whether somebody has removed the job: it exists if and only if its spec does.
    pub(crate) fn is_removed(&self) -> bool {
        self.directory.lacks(SPEC)
    }

    /// Records the end for good, and rings the doorbell. Should the doorbell not ring, because the disk is full, the
    /// next look at running jobs finds the record.
    pub(crate) fn finish(&self, finished: &FinishedRecord) -> Result<(), DiskError> {
        let written = self.record.write_finished(finished);
        crash_point("supervise/finish_synced");
        let rung = self
            .directory
            .open_directory(format!("../../{INBOX}"))
            .and_then(|inbox| layout::ring_doorbell(&inbox, self.id));
        crash_point("supervise/doorbell_rung");
        written.map_err(|e| self.directory.error("write", RECORD, e)).and(rung)
    }
}
