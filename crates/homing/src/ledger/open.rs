//! Opens the ledger and keeps it open: creates it, notices when the file was replaced, and sets a damaged one aside.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use homing_core::{Actor, ActorKind};
use homing_supervisor::layout::{Directory, LEDGER};
use homing_supervisor::platform::errors;
use homing_supervisor::platform::file_id::FileId;
use homing_supervisor::platform::file_system::FreeSpace;
use homing_supervisor::{DiskError, crash_point};
use rusqlite::{Connection, OpenFlags};

use super::Ledger;
use super::connection::connect;
use super::epoch;
use super::files::{clear_remains, is_not_created, rename_aside};
use super::problem::{Cause, LedgerProblem, OpenError};
use super::scanned_file::ScannedFile;
use super::version::{is_current, migrate, newer_version, too_new};
use crate::config::DEFAULT_KEPT_EVENTS;
use crate::{Error, Result};

/// How long to wait for another process that creates, migrates or sets aside the ledger.
const GUARD_TIMEOUT: Duration = Duration::from_secs(60);

/// How many times a ledger is opened again that another process sets aside or replaces at the same time.
const OPEN_ATTEMPTS: u32 = 10;

/// Excludes other processes while the ledger is created, migrated or set aside.
const GUARD: &str = "ledger.lock";

/// The ledger of a home. Opened on first use.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    path: PathBuf,
    busy_timeout: Duration,
    open: Option<(Ledger, FileId)>,
    /// The file that was opened last, or that could not be opened. Errors refer to this file.
    last_tried: Option<FileId>,
    /// Who makes the changes.
    actor: Arc<Actor>,
    kept_events: u32,
}

impl LedgerFile {
    pub(crate) fn new(path: PathBuf, busy_timeout: Duration) -> LedgerFile {
        let actor = Arc::new(Actor::of(ActorKind::Process));
        let kept_events = DEFAULT_KEPT_EVENTS;
        LedgerFile { path, busy_timeout, open: None, last_tried: None, actor, kept_events }
    }

    /// Sets how many events are kept.
    #[must_use]
    pub(crate) fn keeping_events(self, kept_events: u32) -> LedgerFile {
        LedgerFile { kept_events, ..self }
    }

    /// Attributes the changes that follow to an actor.
    pub(crate) fn attributed_to(&mut self, actor: &Arc<Actor>) -> &mut LedgerFile {
        if !Arc::ptr_eq(&self.actor, actor) {
            self.actor = Arc::clone(actor);
            if let Some((ledger, _)) = &mut self.open {
                ledger.actor = Arc::clone(actor);
            }
        }
        self
    }

    /// Runs `work` on the ledger. If the ledger is damaged, it is set aside and [`LedgerProblem::Damaged`] is returned;
    /// a new, empty ledger is then open.
    pub(crate) fn with<T>(
        &mut self,
        root: &Directory,
        work: impl FnOnce(&mut Ledger) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerProblem> {
        // Another program deleted, set aside or changed the file: the open one is out of date.
        if let Some((ledger, id)) = &self.open {
            let is_out_of_date = FileId::of_path(&self.path) != Some(*id)
                || match is_current(&ledger.connection) {
                    Ok(is_current) => !is_current,
                    // The wait for the lock has already timed out.
                    Err(error) if Cause::of(&error) == Cause::Busy => {
                        return Err(self.problem_of(root, error));
                    }
                    // Damage is detected when the ledger is used.
                    Err(_) => false,
                };
            if is_out_of_date {
                self.open = None;
            }
        }
        let outcome = self.opened(root).and_then(|ledger| work(ledger).map_err(OpenError::Sqlite));
        outcome.map_err(|error| match error {
            OpenError::Other(error) => LedgerProblem::Error(error),
            OpenError::Sqlite(error) => self.problem_of(root, error),
        })
    }

    fn opened(&mut self, root: &Directory) -> Result<&mut Ledger, OpenError> {
        if self.open.is_none() {
            let ledger = self.open_file(root)?;
            self.open = Some((ledger, self.last_tried.ok_or_else(|| self.vanished())?));
        }
        match &mut self.open {
            Some((ledger, _)) => Ok(ledger),
            None => unreachable!("the ledger was opened just above"),
        }
    }

    fn open_file(&mut self, root: &Directory) -> Result<Ledger, OpenError> {
        for _ in 1..OPEN_ATTEMPTS {
            match self.try_open_file(root) {
                Err(error) if error.is_missing_file() && self.is_replaced() => {}
                outcome => return outcome,
            }
        }
        self.try_open_file(root)
    }

    /// Whether the path no longer leads to the file that was opened last or failed to open.
    fn is_replaced(&self) -> bool {
        FileId::of_path(&self.path).is_none_or(|there| Some(there) != self.last_tried)
    }

    fn try_open_file(&mut self, root: &Directory) -> Result<Ledger, OpenError> {
        for name in [LEDGER.to_owned(), format!("{LEDGER}-wal"), format!("{LEDGER}-shm")] {
            root.check_regular(&name)?;
        }
        if is_not_created(&self.path) {
            let _guard = guard(root)?;
            // Another process may have created it during the wait.
            if is_not_created(&self.path) {
                clear_remains(&self.path)?;
                let mut connection = self.connect(root)?;
                migrate(&self.path, &mut connection)?;
            }
        }
        let mut connection = self.connect(root)?;
        if !is_current(&connection)? {
            // To enable the log, SQLite needs exclusive access to the file, and does not wait for it.
            let _guard = guard(root)?;
            migrate(&self.path, &mut connection)?;
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let file = self.last_tried.ok_or_else(|| self.vanished())?;
        epoch::ensure(&mut connection, file)?;
        Ok(Ledger {
            connection,
            file,
            scanned: ScannedFile::open(root),
            actor: Arc::clone(&self.actor),
            kept_events: i64::from(self.kept_events),
            busy_timeout: self.busy_timeout,
        })
    }

    /// The ledger was removed while it was being opened.
    fn vanished(&self) -> OpenError {
        DiskError::new("open", &self.path, io::Error::from(io::ErrorKind::NotFound)).into()
    }

    fn connect(&mut self, root: &Directory) -> Result<Connection, OpenError> {
        // SQLite would follow a planted link, or create the file readable by other users. An existing file is not opened
        // here: closing it would release the locks of SQLite in this process (fcntl(2), F_SETLK).
        if !root.contains(LEDGER) {
            drop(root.open_or_create(LEDGER)?);
        }
        // Read the identity before opening. If the file is replaced in between, the next check notices another file and
        // opens that.
        self.last_tried = FileId::of_path(&self.path);
        crash_point("ledger/connect");
        connect(root, OpenFlags::SQLITE_OPEN_READ_WRITE, self.busy_timeout)
    }

    /// Classifies an error of SQLite, and sets a damaged ledger aside. A ledger of a newer program never counts as damaged:
    /// its missing tables are intended.
    fn problem_of(&mut self, root: &Directory, error: rusqlite::Error) -> LedgerProblem {
        let path = self.path.clone();
        let cause = Cause::of(&error);
        if cause != Cause::Busy
            && let Some(found) = newer_version(root, self.busy_timeout)
        {
            self.open = None;
            return LedgerProblem::Error(too_new(&path, found));
        }
        match cause {
            Cause::Busy => LedgerProblem::Error(Error::LedgerBusy { path, waited: self.busy_timeout }),
            Cause::Damaged => match self.set_aside(root) {
                Ok(kept_as) => LedgerProblem::Damaged { kept_as },
                Err(error) => LedgerProblem::Error(error),
            },
            // SQLite cannot create its log.
            Cause::CannotOpen if is_disk_full(root) => {
                LedgerProblem::Error(DiskError::new("open", path, errors::disk_full()).into())
            }
            // Another process may have removed its log or its index. It may be intact when it is opened again.
            Cause::IoFailure if self.open.take().is_some() => {
                LedgerProblem::Closed(Error::Ledger { path, source: error.into() })
            }
            Cause::CannotOpen | Cause::IoFailure | Cause::Other => {
                LedgerProblem::Error(Error::Ledger { path, source: error.into() })
            }
        }
    }

    /// Renames the ledger's files, unless another process did so meanwhile.
    fn set_aside(&mut self, root: &Directory) -> Result<PathBuf> {
        let _guard = guard(root)?;
        self.open = None;
        // A newer program may have changed it during the wait for the guard.
        if let Some(found) = newer_version(root, self.busy_timeout) {
            return Err(too_new(&self.path, found));
        }
        let is_replaced = FileId::of_path(&self.path) != self.last_tried;
        Ok(if is_replaced { self.path.clone() } else { rename_aside(&self.path)? })
    }
}

/// Whether the file system has no space for the log and the index of the ledger.
fn is_disk_full(root: &Directory) -> bool {
    const NEEDED_BYTES: u64 = 64 << 10;
    const NEEDED_FILES: u64 = 2;
    FreeSpace::of(root.handle())
        .is_ok_and(|free| free.bytes < NEEDED_BYTES || free.files.is_some_and(|files| files < NEEDED_FILES))
}

fn guard(root: &Directory) -> Result<File, DiskError> {
    let file = root.open_or_create(GUARD)?;
    root.lock_within(&file, GUARD, GUARD_TIMEOUT)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::migrations::MIGRATIONS;
    use super::*;

    #[test]
    fn a_ledger_of_the_first_version_keeps_what_it_says_of_follow_ups() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEDGER);
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute_batch(
            "INSERT INTO jobs (id, session, state, spec) VALUES ('a', 'chat-1', 'finished', '{}');
             INSERT INTO jobs (id, session, state, spec) VALUES ('b', 'chat-2', 'finished', '{}');
             INSERT INTO follow_ups (job, state) VALUES (1, 'acknowledged'), (2, 'pending');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(old);
        let root = Directory::open(folder.path()).unwrap();
        let mut file = LedgerFile::new(path, Duration::from_secs(10));
        let rows: Vec<(String, String)> = file
            .with(&root, |ledger| {
                let mut query =
                    ledger.connection.prepare("SELECT session, state FROM follow_ups ORDER BY job")?;
                query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .unwrap();
        let row = |session: &str, state: &str| (session.to_owned(), state.to_owned());
        assert_eq!(rows, [row("chat-1", "acknowledged"), row("chat-2", "pending")]);
    }
}
