//! Stores the highest numbers of jobs and events of a ledger outside the ledger, to detect an older state of it.

use std::fs::File;

use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::file::{read_at, write_at};

/// The highest numbers that the ledger has given, in a separate file, little-endian: eight bytes for jobs; four for the
/// epoch of events, and eight for events. A ledger with a lower number is an older state, even if that was written into the
/// same file. Programs of earlier versions write the first eight bytes only.
const HIGHEST: &str = "ledger.highest";

/// Where the file has the epoch of events.
const EVENTS_OFFSET: u64 = 8;

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

    /// The epoch of events and the highest number of an event in it; `None` if it is unknown.
    pub(super) fn events(&self) -> Option<(u32, i64)> {
        let mut bytes = [0; 12];
        let count = read_at(self.0.as_ref()?, &mut bytes, EVENTS_OFFSET).ok()?;
        let ([a, b, c, d, highest @ ..], true) = (bytes, count == bytes.len()) else { return None };
        Some((u32::from_le_bytes([a, b, c, d]), i64::from_le_bytes(highest)))
    }

    /// Stores the highest number of an event after it was committed. Never lowers it within an epoch, except in a race with
    /// another process, which only weakens the check.
    pub(super) fn note_events(&self, epoch: u32, highest: i64) {
        let is_known = self.events().is_some_and(|(noted, known)| noted == epoch && known >= highest);
        if let Some(file) = self.0.as_ref().filter(|_| !is_known) {
            let mut bytes = [0; 12];
            bytes[..4].copy_from_slice(&epoch.to_le_bytes());
            bytes[4..].copy_from_slice(&highest.to_le_bytes());
            let _ = write_at(file, &bytes, EVENTS_OFFSET);
        }
    }
}
