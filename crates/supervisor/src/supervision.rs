//! One job under supervision: where everything about it is, and how its end is made known.

use std::time::Duration;

use homing_core::{JobId, LeftoverFate};

use crate::layout::{self, Directory, INBOX, LOCK, RECORD, SCRIPT, SPEC};
use crate::record::{FinishedRecord, Record};
use crate::{DiskError, crash_point};

/// How often, and after which pause, a spec must be missing before its job counts as removed: a file that is replaced
/// is missing for a moment.
const REMOVAL_LOOKS: u32 = 10;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

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
        for _ in 0..REMOVAL_LOOKS {
            if !self.directory.lacks(SPEC) {
                return false;
            }
            std::thread::sleep(REMOVAL_PAUSE);
        }
        true
    }

    /// Removes the script, and the lock where nothing is kept running: a finished job needs neither. Left lying they cost a
    /// block of disk each, and go with the job.
    fn remove_what_is_not_needed(&self, finished: &FinishedRecord) {
        let _ = self.directory.remove_file(SCRIPT);
        if finished.leftovers.iter().all(|leftover| leftover.fate != LeftoverFate::Kept) {
            let _ = self.directory.remove_file(LOCK);
        }
    }

    /// Records the end for good, and rings the doorbell. Should the doorbell not ring, because the disk is full, the
    /// next look at running jobs finds the record.
    pub(crate) fn finish(&self, finished: &FinishedRecord) -> Result<(), DiskError> {
        let written =
            self.record.write_finished(finished).map_err(|e| self.directory.error("write", RECORD, e));
        if self.directory.lacks(RECORD) && !self.directory.lacks(SPEC) {
            self.write_record_again(finished)?;
        }
        crash_point("supervise/finish_synced");
        let rung = self
            .directory
            .open_directory(format!("../../{INBOX}"))
            .and_then(|inbox| layout::notify_change(&inbox, self.id));
        crash_point("supervise/doorbell_rung");
        self.remove_what_is_not_needed(finished);
        written.and(rung)
    }

    /// Makes the record again where somebody has removed it: its content is still there, in the file that is open here.
    /// Not before the end, or a directory that is being removed would not become empty.
    fn write_record_again(&self, finished: &FinishedRecord) -> Result<(), DiskError> {
        let failed = |e| self.directory.error("write", RECORD, e);
        let content = self.record.read().map_err(|e| self.directory.error("read", RECORD, e))?;
        let record = Record::create(&self.directory)?;
        if let Some(started) = content.started.valid() {
            record.write_started(started).map_err(failed)?;
        }
        record.write_finished(finished).map_err(failed)
    }
}
