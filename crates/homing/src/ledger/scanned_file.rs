//! Stores the highest job number of a ledger outside the ledger, to detect an older state of it.

use std::fs::File;

use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::file::{read_at, write_at};

/// The highest number that the ledger has given to a job, in a separate file: eight bytes, little-endian. A ledger with a
/// lower number is an older state, even if that was written into the same file.
const HIGHEST: &str = "ledger.highest";

/// The stored number. It is a hint: if it cannot be read or written, the identity of the file still counts.
#[derive(Debug)]
pub(super) struct ScannedFile(Option<File>);

impl ScannedFile {
    /// Opens the file, and creates it if it is missing.
    pub(super) fn open(root: &Directory) -> ScannedFile {
        let open = || -> Result<Option<File>, DiskError> {
            drop(root.open_or_create(HIGHEST)?);
            root.open_to_update(HIGHEST)
        };
        ScannedFile(open().ok().flatten())
    }

    pub(super) fn read(&self) -> i64 {
        let mut bytes = [0; 8];
        match &self.0 {
            Some(file) if read_at(file, &mut bytes, 0).is_ok_and(|count| count == bytes.len()) => {
                i64::from_le_bytes(bytes)
            }
            Some(_) | None => 0,
        }
    }

    /// Not synced: after a boot, every job is observed anyway.
    pub(super) fn write(&self, highest: i64) {
        if let Some(file) = &self.0 {
            let _ = write_at(file, &highest.to_le_bytes(), 0);
        }
    }
}
