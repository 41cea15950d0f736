//! When every job directory was looked at last, and for which ledger: an older one that is put in its place must not
//! pass for one that knows all jobs.

use std::fs::File;
use std::os::unix::fs::FileExt;

use homing_supervisor::DiskError;
use homing_supervisor::layout::Directory;
use rusqlite::OptionalExtension;

use super::{Ledger, set_fact};

/// The highest number that the ledger has given to a job, in a file of its own: eight bytes, little-endian. A ledger
/// that says less was taken back to an older state, also where that was written into the same file.
const HIGHEST: &str = "ledger.highest";

/// What is remembered outside the ledger. A hint: where it cannot be read or written, the file's identity still counts.
#[derive(Debug)]
pub(super) struct ScannedFile(Option<File>);

impl ScannedFile {
    /// Opens it, and makes it where it is missing.
    pub(super) fn open(root: &Directory) -> ScannedFile {
        let open = || -> Result<Option<File>, DiskError> {
            drop(root.open_or_create(HIGHEST)?);
            Ok(root.open_to_update(HIGHEST)?.map(File::from))
        };
        ScannedFile(open().ok().flatten())
    }

    fn read(&self) -> i64 {
        let mut bytes = [0; 8];
        match &self.0 {
            Some(file) if file.read_exact_at(&mut bytes, 0).is_ok() => i64::from_le_bytes(bytes),
            Some(_) | None => 0,
        }
    }

    /// Not synced: after a boot every job is looked at anyway.
    fn write(&self, highest: i64) {
        if let Some(file) = &self.0 {
            let _ = file.write_all_at(&highest.to_le_bytes(), 0);
        }
    }
}

impl Ledger {
    /// Whether every job directory is to be looked at: the ledger is new, another file or an older state was put in its
    /// place, the machine has booted since, or it is a day ago. Rings that got lost are found then.
    pub(crate) fn full_scan_due(&self, boot_id: &str, now_ms: i64) -> rusqlite::Result<bool> {
        const DAY_MS: i64 = 86_400_000;
        let last: Option<i64> = self.fact("full_scan_at")?.and_then(|text| text.parse().ok());
        // A clock that was set back makes the last scan lie ahead; that is no reason to wait for it.
        let fresh = last.is_some_and(|last| (0..DAY_MS).contains(&(now_ms - last)));
        Ok(!fresh || self.fact("full_scan_boot")?.as_deref() != Some(boot_id) || self.was_replaced()?)
    }

    /// Whether another file, or an older state of it, was put in place of the ledger that knew all jobs.
    pub(crate) fn was_replaced(&self) -> rusqlite::Result<bool> {
        let same_file = self.fact("full_scan_file")?.as_deref() == Some(&*self.file.to_string());
        Ok(!same_file || self.highest()? < self.scanned.read())
    }

    /// Notes that every job directory was looked at.
    pub(crate) fn full_scan_done(&mut self, boot_id: &str, now_ms: i64) -> rusqlite::Result<()> {
        let file = self.file.to_string();
        let transaction = self.begin()?;
        set_fact(&transaction, "full_scan_at", &now_ms.to_string())?;
        set_fact(&transaction, "full_scan_boot", boot_id)?;
        set_fact(&transaction, "full_scan_file", &file)?;
        transaction.commit()?;
        self.scanned.write(self.highest()?);
        Ok(())
    }

    /// Remembers that jobs were added. Another process may have added more; what it remembers then counts for less.
    pub(super) fn note_highest(&self) -> rusqlite::Result<()> {
        let highest = self.highest()?;
        if highest > self.scanned.read() {
            self.scanned.write(highest);
        }
        Ok(())
    }

    fn highest(&self) -> rusqlite::Result<i64> {
        let mut query =
            self.connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
    }
}
