//! The ledger: an index of the jobs, and the authority on follow-ups. A launch and the end of a job do not need it.
//! A damaged or missing one is set aside, never deleted, and rebuilt from the job directories.

mod attempts;
mod connection;
mod dead_wakes;
mod epoch;
mod event_rows;
mod events;
mod files;
mod follow_ups;
mod history;
mod hold;
mod job_actors;
mod job_rows;
mod jobs;
mod kill_requests;
mod leases;
mod list_cursor;
mod meta;
mod migrations;
mod monitors;
mod open;
mod problem;
mod record;
mod retention;
mod rows;
mod scanned;
mod scanned_file;
mod session_state;
mod sessions;
mod transition;
mod version;
mod wake_record;
mod wakes;
mod writer;

pub(crate) use dead_wakes::DeadWake;
pub use events::EventPage;
pub(crate) use hold::{Hold, RouteKey};
pub(crate) use job_rows::Launch;
pub use job_rows::UnsupportedJob;
pub(crate) use jobs::JobFilter;
pub(crate) use leases::LeaseAnswer;
pub use list_cursor::ListCursor;
pub(crate) use open::LedgerFile;
pub(crate) use problem::{LedgerProblem, damaged_again};
pub(crate) use retention::{KeptForSession, Prunable};
pub(crate) use session_state::{SessionState, Undelivered, oldest_of};
pub use sessions::SessionSummary;
pub(crate) use transition::Moved;
pub use wake_record::{AttemptRecord, WakeRecord};
pub(crate) use wakes::{ChangeContext, NewWake, WakeChange};

use std::sync::Arc;
use std::time::Duration;

use homing_core::{Actor, Timestamp};
use homing_supervisor::platform::clock;
use homing_supervisor::platform::file_id::FileId;
use rusqlite::{Connection, TransactionBehavior};

use scanned_file::ScannedFile;
use writer::Writer;

/// An open ledger.
#[derive(Debug)]
pub(crate) struct Ledger {
    connection: Connection,
    /// The file that is open.
    file: FileId,
    /// The file beside the ledger that detects an older state.
    scanned: ScannedFile,
    /// Who makes the changes.
    actor: Arc<Actor>,
    /// How many events are kept.
    kept_events: i64,
    /// How long each operation waits for another process that has locked the ledger.
    busy_timeout: Duration,
}

impl Ledger {
    /// A transaction that has the write lock from its beginning, so that its reads stay valid until it commits.
    ///
    /// # Errors
    /// Also if another program has changed the version of the ledger since it was opened: a long-running process must not
    /// write into tables that it does not know.
    fn begin(&mut self) -> rusqlite::Result<Writer<'_>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        version::check_version(&transaction)?;
        // Read the clock after the wait for the lock, so that the times of events follow their order.
        let now = Timestamp::from_unix_millis(clock::wall_millis());
        Ok(Writer::new(transaction, &self.actor, &self.scanned, self.kept_events, now))
    }

    /// Waits until no process writes to the ledger. Reads after this call see the commits of all writers before it.
    pub(crate) fn wait_for_writer(&mut self) -> rusqlite::Result<()> {
        // The write lock is held until a commit is visible. Nothing is written here.
        self.begin()?.rollback()
    }

    /// A value that describes the ledger itself.
    fn meta(&self, name: &str) -> rusqlite::Result<Option<String>> {
        meta::meta(&self.connection, name)
    }

    /// The damage that SQLite finds in the file; `None` if it is intact. Reads the whole file.
    pub(crate) fn damage(&self) -> rusqlite::Result<Option<String>> {
        let verdict: String = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((verdict != "ok").then_some(verdict))
    }
}
