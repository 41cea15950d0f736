//! Opens the ledger: creates it, migrates its schema, notices when the file was replaced, and sets a damaged ledger
//! aside.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_supervisor::layout::{Directory, LEDGER};
use homing_supervisor::platform::file_id::FileId;
use homing_supervisor::{DiskError, crash_point};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Ledger;
use super::migrations::MIGRATIONS;
use super::scanned_file::ScannedFile;
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
    judged: Option<FileId>,
}

impl LedgerFile {
    pub(crate) fn new(path: PathBuf, busy_timeout: Duration) -> LedgerFile {
        LedgerFile { path, busy_timeout, open: None, judged: None }
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
            let is_history = FileId::of_path(&self.path) != Some(*id)
                || match version(&ledger.connection) {
                    Ok(version) => version != MIGRATIONS.len(),
                    // The wait for the lock has already timed out.
                    Err(error) if is_busy(&error) => return Err(self.judge(root, error)),
                    // Damage is detected when the ledger is used.
                    Err(_) => false,
                };
            if is_history {
                self.open = None;
            }
        }
        let outcome = self.opened(root).and_then(|ledger| work(ledger).map_err(OpenError::Sqlite));
        outcome.map_err(|error| match error {
            OpenError::Other(error) => LedgerProblem::Error(error),
            OpenError::Sqlite(error) => self.judge(root, error),
        })
    }

    fn opened(&mut self, root: &Directory) -> Result<&mut Ledger, OpenError> {
        if self.open.is_none() {
            let ledger = self.open_file(root)?;
            self.open = Some((ledger, self.judged.ok_or_else(|| self.vanished())?));
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
        FileId::of_path(&self.path).is_none_or(|there| Some(there) != self.judged)
    }

    fn try_open_file(&mut self, root: &Directory) -> Result<Ledger, OpenError> {
        for name in [LEDGER.to_owned(), format!("{LEDGER}-wal"), format!("{LEDGER}-shm")] {
            root.check_regular(&name)?;
        }
        if is_unmade(&self.path) {
            let _guard = guard(root)?;
            // Another process may have created it during the wait.
            if is_unmade(&self.path) {
                self.clear_away_remains()?;
                let mut connection = self.connect(root)?;
                self.migrate(&mut connection)?;
            }
        }
        let mut connection = self.connect(root)?;
        if version(&connection)? != MIGRATIONS.len() {
            // To enable the log, SQLite needs exclusive access to the file, and does not wait for it.
            let _guard = guard(root)?;
            self.migrate(&mut connection)?;
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let file = self.judged.ok_or_else(|| self.vanished())?;
        Ok(Ledger { connection, file, scanned: ScannedFile::open(root) })
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
        self.judged = FileId::of_path(&self.path);
        crash_point("ledger/connect");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        // The path of the home may contain links. Files in the home must not be links.
        let path =
            fs::canonicalize(root.path()).map_err(|e| DiskError::new("find", root.path(), e))?.join(LEDGER);
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        // Otherwise, closing the last connection would write back and delete the whole log in every command.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    }

    /// Prepares the path for a new ledger, with the guard held. An emptied ledger may still be open in other processes, so
    /// it is not reused; these processes then notice another file at the path. A log without its ledger is set aside.
    fn clear_away_remains(&self) -> Result<(), OpenError> {
        let log = with_suffix(&self.path, "-wal");
        if fs::symlink_metadata(log).is_ok_and(|log| log.len() > 0) {
            return self.rename_aside().map(drop).map_err(OpenError::Other);
        }
        for suffix in ["-wal", "-shm", ""] {
            let path = with_suffix(&self.path, suffix);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(DiskError::new("remove", path, error).into());
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Migrates the schema, with the guard held.
    fn migrate(&self, connection: &mut Connection) -> Result<(), OpenError> {
        let known = MIGRATIONS.len();
        let found = version(connection)?;
        if found > known {
            return Err(OpenError::Other(self.too_new(found)));
        }
        let is_ours = if found == 0 { is_blank(connection)? } else { has_our_tables(connection)? };
        if !is_ours {
            // The database of another program: homing creates its tables and its version in one step. Do not change it.
            return Err(OpenError::Sqlite(not_a_ledger()));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A migration recreates tables that other tables reference. This setting cannot be changed inside a transaction.
        connection.pragma_update(None, "foreign_keys", false)?;
        let step = connection.transaction()?;
        for migration in &MIGRATIONS[found..] {
            step.execute_batch(migration)?;
        }
        step.pragma_update(None, "user_version", known)?;
        step.commit()?;
        Ok(())
    }

    fn too_new(&self, found: usize) -> Error {
        let as_u32 = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (found, known) = (as_u32(found), as_u32(MIGRATIONS.len()));
        Error::LedgerTooNew { path: self.path.clone(), found, known }
    }

    /// The version of the ledger at the path, if a newer program created it. Does not use an open connection: the file may
    /// have been changed or replaced since.
    fn newer_version(&self, root: &Directory) -> Option<usize> {
        let path = fs::canonicalize(root.path()).ok()?.join(LEDGER);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, flags).ok()?;
        connection.busy_timeout(self.busy_timeout).ok()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).ok()?;
        version(&connection).ok().filter(|found| *found > MIGRATIONS.len())
    }

    /// Classifies an error of SQLite, and sets a damaged ledger aside. A ledger of a newer program never counts as damaged:
    /// its missing tables are intended.
    fn judge(&mut self, root: &Directory, error: rusqlite::Error) -> LedgerProblem {
        let path = self.path.clone();
        if !is_busy(&error)
            && let Some(found) = self.newer_version(root)
        {
            self.open = None;
            return LedgerProblem::Error(self.too_new(found));
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                LedgerProblem::Error(Error::LedgerBusy { path, waited: self.busy_timeout })
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => match self.set_aside(root) {
                Ok(kept_as) => LedgerProblem::Damaged { kept_as },
                Err(error) => LedgerProblem::Error(error),
            },
            // A database without the tables of homing.
            None | Some(ErrorCode::Unknown) if is_missing_table(&error) => match self.set_aside(root) {
                Ok(kept_as) => LedgerProblem::Damaged { kept_as },
                Err(error) => LedgerProblem::Error(error),
            },
            // SQLite does not report why it cannot create its log.
            Some(ErrorCode::CannotOpen) if is_disk_full(root) => {
                LedgerProblem::Error(DiskError::new("open", path, rustix::io::Errno::NOSPC).into())
            }
            // Another process may have removed its log or its index. It may be intact when it is opened again.
            Some(ErrorCode::SystemIoFailure) if self.open.take().is_some() => {
                LedgerProblem::Closed(Error::Ledger { path, source: error.into() })
            }
            _ => LedgerProblem::Error(Error::Ledger { path, source: error.into() }),
        }
    }

    /// Renames the ledger's files, unless another process did so meanwhile.
    fn set_aside(&mut self, root: &Directory) -> Result<PathBuf> {
        let _guard = guard(root)?;
        self.open = None;
        // A newer program may have changed it during the wait for the guard.
        if let Some(found) = self.newer_version(root) {
            return Err(self.too_new(found));
        }
        if FileId::of_path(&self.path) == self.judged { self.rename_aside() } else { Ok(self.path.clone()) }
    }

    fn rename_aside(&self) -> Result<PathBuf> {
        let kept_as = (1..)
            .map(|number| with_suffix(&self.path, &format!(".damaged-{number}")))
            .find(|path| ["", "-wal"].iter().all(|suffix| !with_suffix(path, suffix).exists()))
            .expect("there is always a greater number");
        // The log first: a new ledger must never meet an old log.
        for suffix in ["-wal", "-shm", ""] {
            let from = with_suffix(&self.path, suffix);
            match fs::rename(&from, with_suffix(&kept_as, suffix)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(DiskError::new("set aside", from, error).into()),
            }
        }
        Ok(kept_as)
    }
}

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

#[derive(Debug)]
enum OpenError {
    Sqlite(rusqlite::Error),
    Other(Error),
}

impl OpenError {
    /// Whether a file was not found. SQLite does not report why it cannot open a file.
    fn is_missing_file(&self) -> bool {
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

/// Refuses to work on a ledger that another program has changed since it was opened.
pub(super) fn check_version(connection: &Connection) -> rusqlite::Result<()> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA);
    Err(rusqlite::Error::SqliteFailure(code, Some("another program changed its version".to_owned())))
}

fn version(connection: &Connection) -> rusqlite::Result<usize> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map(|version| version as usize)
}

/// Whether a database is empty.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Whether a database has the tables that every version of homing creates.
fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(*) = 3 FROM sqlite_schema
         WHERE type = 'table' AND name IN ('jobs', 'follow_ups', 'facts', 'meta')",
        [],
        |row| row.get(0),
    )
}

fn not_a_ledger() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
    rusqlite::Error::SqliteFailure(code, Some("it is a database of another program".to_owned()))
}

/// The error for a ledger that was damaged right after it was rebuilt. `kept_as` is the file that was set aside.
pub(crate) fn damaged_again(kept_as: PathBuf) -> Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    let text = "damaged again right after it was rebuilt".to_owned();
    Error::Ledger { path: kept_as, source: rusqlite::Error::SqliteFailure(code, Some(text)).into() }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn is_missing_table(error: &rusqlite::Error) -> bool {
    let text = error.to_string();
    text.contains("no such table") || text.contains("no such column")
}

/// Whether the file system has no space for the log and the index of the ledger.
fn is_disk_full(root: &Directory) -> bool {
    const NEEDED_BYTES: u64 = 64 << 10;
    const NEEDED_FILES: u64 = 2;
    rustix::fs::fstatvfs(root).is_ok_and(|status| {
        // A file system without a fixed number of files reports 0 files (statvfs(3)).
        let counts_files = status.f_files > 0;
        status.f_bavail.saturating_mul(status.f_frsize) < NEEDED_BYTES
            || (counts_files && status.f_favail < NEEDED_FILES)
    })
}

fn guard(root: &Directory) -> Result<File, DiskError> {
    let file = root.open_or_create(GUARD)?;
    root.lock_within(&file, GUARD, GUARD_TIMEOUT)?;
    Ok(file)
}

/// Whether the ledger is missing or empty: a created ledger has a header. A file of another type does not count as
/// missing.
fn is_unmade(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or_else(
        |error| error.kind() == io::ErrorKind::NotFound,
        |file| file.is_file() && file.len() == 0,
    )
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
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
