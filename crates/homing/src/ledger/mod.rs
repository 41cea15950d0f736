//! The ledger: an index of the jobs, and the truth about follow-ups. Never on the path of a launch or of a job's end.
//! A damaged or missing one is set aside, never deleted, and rebuilt from the job directories.

mod follow_ups;
mod history;
mod jobs;
mod open;
mod telling;
mod wakes;

pub(crate) use follow_ups::Moved;
pub(crate) use jobs::{JobFilter, Launch};
pub(crate) use open::{LedgerFile, LedgerProblem};
pub(crate) use telling::{RouteKey, Telling, Undelivered, oldest_of};
pub(crate) use wakes::{ChangeContext, Hold, NewWake, WakeChange};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

/// An open ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    connection: Connection,
}

impl Ledger {
    /// A transaction that has the write lock from its beginning, so that what it reads stays true until it commits.
    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }

    /// A fact about the ledger itself.
    fn fact(&self, name: &str) -> rusqlite::Result<Option<String>> {
        let mut query = self.connection.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
        query.query_row([name], |row| row.get(0)).optional()
    }

    fn set_fact(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        let mut insert =
            self.connection.prepare_cached("INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)")?;
        insert.execute([name, value]).map(drop)
    }

    /// What SQLite finds wrong with the file; `None` where it is sound. Reads all of it.
    pub(crate) fn damage(&self) -> rusqlite::Result<Option<String>> {
        let verdict: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((verdict != "ok").then_some(verdict))
    }

    /// Whether every job directory is to be looked at: the ledger is new, the machine has booted since, or it is a
    /// day ago. Rings that got lost are found then.
    pub(crate) fn full_scan_due(&self, boot_id: &str, now_ms: i64) -> rusqlite::Result<bool> {
        const DAY_MS: i64 = 86_400_000;
        let last: Option<i64> = self.fact("full_scan_at")?.and_then(|text| text.parse().ok());
        // A clock that was set back makes the last scan lie ahead; that is no reason to wait for it.
        let fresh = last.is_some_and(|last| (0..DAY_MS).contains(&(now_ms - last)));
        Ok(!fresh || self.fact("full_scan_boot")?.as_deref() != Some(boot_id))
    }

    /// Notes that every job directory was looked at.
    pub(crate) fn full_scan_done(&self, boot_id: &str, now_ms: i64) -> rusqlite::Result<()> {
        self.set_fact("full_scan_at", &now_ms.to_string())?;
        self.set_fact("full_scan_boot", boot_id)
    }
}
