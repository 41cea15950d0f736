//! The version of the ledger's schema: reads it, migrates an older one, and refuses a newer one.

use std::path::Path;
use std::time::Duration;

use homing_supervisor::layout::Directory;
use rusqlite::{Connection, OpenFlags};

use super::connection::connect;
use super::migrations::MIGRATIONS;
use super::problem::OpenError;
use crate::Error;

/// Whether a ledger has the version of this program.
///
/// # Errors
/// If it cannot be read.
pub(super) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? == MIGRATIONS.len())
}

/// Refuses to work on a ledger that another program has changed since it was opened.
pub(super) fn check_version(connection: &Connection) -> rusqlite::Result<()> {
    if is_current(connection)? {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_SCHEMA);
    Err(rusqlite::Error::SqliteFailure(code, Some("another program changed its version".to_owned())))
}

/// Migrates the schema, with the guard held.
pub(super) fn migrate(path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
    let known = MIGRATIONS.len();
    let found = version(connection)?;
    if found > known {
        return Err(OpenError::Other(too_new(path, found)));
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

/// The error for a ledger of a newer program.
pub(super) fn too_new(path: &Path, found: usize) -> Error {
    let as_u32 = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (found, known) = (as_u32(found), as_u32(MIGRATIONS.len()));
    Error::LedgerTooNew { path: path.to_owned(), found, known }
}

/// The version of the ledger of the home `root`, if a newer program created it. Does not use an open connection: the file
/// may have been changed or replaced since.
pub(super) fn newer_version(root: &Directory, busy_timeout: Duration) -> Option<usize> {
    let connection = connect(root, OpenFlags::SQLITE_OPEN_READ_ONLY, busy_timeout).ok()?;
    version(&connection).ok().filter(|found| *found > MIGRATIONS.len())
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
