//! The time of the last full scan, and the ledger that it was for: an older ledger that replaces it does not have all
//! jobs, and needs another full scan.

use rusqlite::OptionalExtension;

use super::Ledger;
use super::meta::set_meta;

impl Ledger {
    /// Whether a full scan is due: the ledger is new, another file or an older state replaced it, the machine has booted
    /// since, or the last scan was a day ago. A full scan finds changes whose inbox entries were lost.
    pub(crate) fn full_scan_due(&self, boot_id: &str, now_ms: i64) -> rusqlite::Result<bool> {
        const DAY_MS: i64 = 86_400_000;
        let last: Option<i64> = self.meta("full_scan_at")?.and_then(|text| text.parse().ok());
        // If the clock was set back, the last scan is in the future. Then a scan is due.
        let fresh = last.is_some_and(|last| (0..DAY_MS).contains(&(now_ms - last)));
        Ok(!fresh || self.meta("full_scan_boot")?.as_deref() != Some(boot_id) || self.was_replaced()?)
    }

    /// Whether another file, or an older state of the file, replaced the ledger since the last full scan.
    pub(crate) fn was_replaced(&self) -> rusqlite::Result<bool> {
        let same_file = self.meta("full_scan_file")?.as_deref() == Some(&*self.file.to_string());
        Ok(!same_file || self.highest()? < self.scanned.read())
    }

    /// Records that every job directory was observed.
    pub(crate) fn full_scan_done(&mut self, boot_id: &str, now_ms: i64) -> rusqlite::Result<()> {
        let file = self.file.to_string();
        let transaction = self.begin()?;
        set_meta(&transaction, "full_scan_at", &now_ms.to_string())?;
        set_meta(&transaction, "full_scan_boot", boot_id)?;
        set_meta(&transaction, "full_scan_file", &file)?;
        transaction.commit()?;
        self.scanned.write(self.highest()?);
        Ok(())
    }

    /// Stores the highest number after jobs were added. Never lowers it, except in a race with another process, which only
    /// weakens the check.
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
