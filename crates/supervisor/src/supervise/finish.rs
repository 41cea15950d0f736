//! One supervised job: its directory and record, and how its end is recorded.

use std::time::Duration;

use homing_core::{JobId, LeftoverFate, Shell};

use crate::disk::directory::Directory;
use crate::disk::documents::FinishedRecord;
use crate::disk::error::DiskError;
use crate::disk::layout;
use crate::disk::record::Record;
use crate::failpoints::crash_point;
use crate::names::{INBOX, LOCK, RECORD, SPEC};

/// How often, and at which interval, a spec must be missing before its job counts as removed. A file that is replaced
/// may be missing briefly.
const REMOVAL_CHECKS: u32 = 10;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// One supervised job.
#[derive(Debug)]
pub(crate) struct Supervision {
    pub(crate) id: JobId,
    /// The shell of its script.
    pub(crate) shell: Shell,
    pub(crate) directory: Directory,
    pub(crate) record: Record,
}

impl Supervision {
    /// Whether the job was removed. A job exists if and only if its spec exists.
    pub(crate) fn is_removed(&self) -> bool {
        for _ in 0..REMOVAL_CHECKS {
            if !self.directory.lacks(SPEC) {
                return false;
            }
            std::thread::sleep(REMOVAL_PAUSE);
        }
        true
    }

    /// Removes the script, and the lock file if no process is kept. A finished job needs neither, and each takes a
    /// disk block. If this fails, they are removed with the job.
    fn remove_unneeded_files(&self, finished: &FinishedRecord) {
        let _ = self.directory.remove_file(self.shell.script_name());
        if finished.leftovers.iter().all(|leftover| leftover.fate != LeftoverFate::Kept) {
            let _ = self.directory.remove_file(LOCK);
        }
    }

    /// Records the end durably, and notifies the inbox. If the notification fails because the disk is full, the next
    /// sync of unfinished jobs finds the record.
    pub(crate) fn finish(&self, finished: &FinishedRecord) -> Result<(), DiskError> {
        let written =
            self.record.write_finished(finished).map_err(|e| self.directory.error("write", RECORD, e));
        if self.directory.lacks(RECORD) && !self.directory.lacks(SPEC) {
            self.write_record_again(finished)?;
        }
        crash_point("supervise/finish_synced");
        let notified = self
            .directory
            .open_directory(format!("../../{INBOX}"))
            .and_then(|inbox| layout::notify_change(&inbox, self.id));
        crash_point("supervise/inbox_notified");
        self.remove_unneeded_files(finished);
        written.and(notified)
    }

    /// Creates the record again if its file was removed; the open file still has its content. Only at the end of the
    /// job: earlier, it would interfere with the removal of the directory.
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
