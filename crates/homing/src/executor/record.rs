//! Writes what an executor reports about a job into the job's directory at home. The caller holds the job's lock.

use homing_core::Outcome;
use homing_supervisor::layout::{Directory, LOCK, RECORD};
use homing_supervisor::platform::{clock, errors};
use homing_supervisor::{DiskError, FinishedRecord, JobLock, Record, StartedRecord};

use crate::store::observe::read_record;
use crate::store::recover::lock_with_retries;

/// The record of a job at home, with the right to write it.
#[derive(Debug)]
pub(crate) struct HomeRecord<'a> {
    directory: &'a Directory,
    record: Record,
    _lock: JobLock,
}

impl<'a> HomeRecord<'a> {
    /// Opens the record; `None` if another process writes it.
    ///
    /// # Errors
    /// If the files of the job cannot be opened.
    pub(crate) fn try_open(directory: &'a Directory) -> Result<Option<HomeRecord<'a>>, DiskError> {
        let Some(lock) = lock_with_retries(directory)? else { return Ok(None) };
        let missing = || directory.error("open", RECORD, errors::not_found());
        let record = Record::open_to_update(directory)?.ok_or_else(missing)?;
        Ok(Some(HomeRecord { directory, record, _lock: lock }))
    }

    /// Whether its end is recorded.
    ///
    /// # Errors
    /// If it cannot be read, or a newer program wrote it.
    pub(crate) fn is_finished(&self) -> Result<bool, DiskError> {
        Ok(read_record(self.directory)?.finished.valid().is_some())
    }

    /// Records the start.
    ///
    /// # Errors
    /// If the write fails.
    pub(crate) fn write_started(&self, started: &StartedRecord) -> Result<(), DiskError> {
        self.record.write_started(started).map_err(|error| self.directory.error("write", RECORD, error))
    }

    /// Records the end, durably. Its output must be there.
    ///
    /// # Errors
    /// If the write fails.
    pub(crate) fn write_finished(&self, finished: &FinishedRecord) -> Result<(), DiskError> {
        let written = self.record.write_finished(finished);
        written.map_err(|error| self.directory.error("write", RECORD, error))?;
        // If this fails, the file stays until the job is deleted.
        let _ = self.directory.remove_file(LOCK);
        Ok(())
    }

    /// Records an end of which only the outcome is known.
    ///
    /// # Errors
    /// If the write fails.
    pub(crate) fn write_outcome(&self, outcome: Outcome) -> Result<(), DiskError> {
        self.write_finished(&FinishedRecord::bare(outcome, clock::wall_millis()))
    }
}
