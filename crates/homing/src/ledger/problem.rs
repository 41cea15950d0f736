//! Why the ledger cannot be opened or used: classifies the errors of SQLite.

use std::io;
use std::path::PathBuf;

use homing_supervisor::DiskError;
use rusqlite::ErrorCode;

use crate::Error;

/// Why an operation on the ledger failed.
#[derive(Debug)]
pub(crate) enum LedgerProblem {
    /// It was damaged and has been set aside. The new one must be rebuilt from the job directories.
    Damaged { kept_as: PathBuf },
    /// The open file could not be read or written. The next operation opens it again.
    Closed(Error),
    /// Another error.
    Error(Error),
}

/// Why the ledger could not be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// An error of SQLite. It may mean that the ledger is damaged.
    Sqlite(rusqlite::Error),
    /// Another error.
    Other(Error),
}

impl OpenError {
    /// Whether a file was not found. SQLite does not report why it cannot open a file.
    pub(super) fn is_missing_file(&self) -> bool {
        match self {
            OpenError::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::CannotOpen),
            OpenError::Other(Error::Disk(error)) => error.source.kind() == io::ErrorKind::NotFound,
            OpenError::Other(_) => false,
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> OpenError {
        OpenError::Sqlite(error)
    }
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> OpenError {
        OpenError::Other(error.into())
    }
}

/// What an error of SQLite means for the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another process holds the lock for longer than the timeout.
    Busy,
    /// The file is not a ledger, or is damaged.
    Damaged,
    /// A file cannot be opened. SQLite does not report why.
    CannotOpen,
    /// A read or a write failed.
    IoFailure,
    /// Another cause.
    Other,
}

impl Cause {
    /// The cause of an error.
    pub(super) fn of(error: &rusqlite::Error) -> Cause {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Cause::Damaged,
            // A database without the tables of homing.
            None | Some(ErrorCode::Unknown) if is_missing_table(error) => Cause::Damaged,
            Some(ErrorCode::CannotOpen) => Cause::CannotOpen,
            Some(ErrorCode::SystemIoFailure) => Cause::IoFailure,
            _ => Cause::Other,
        }
    }
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.contains("no such table") || text.contains("no such column")
}

/// The error for a ledger that was damaged right after it was rebuilt. `kept_as` is the file that was set aside.
pub(crate) fn damaged_again(kept_as: PathBuf) -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    let text = "damaged again right after it was rebuilt".to_owned();
    Error::Ledger { path: kept_as, source: rusqlite::Error::SqliteFailure(code, Some(text)).into() }
}
