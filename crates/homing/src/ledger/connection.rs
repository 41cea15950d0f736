//! Opens a connection to the file of the ledger, with the settings that every connection needs.

use std::fs;
use std::time::Duration;

use homing_supervisor::DiskError;
use homing_supervisor::layout::{Directory, LEDGER};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::problem::OpenError;

/// Opens the ledger of the home `root`, which exists. `access` is the flag for reading only or for writing too.
/// `busy_timeout` is how long each operation waits for another process that has locked the ledger.
///
/// # Errors
/// If the file is missing or a symbolic link, or cannot be opened.
pub(super) fn connect(
    root: &Directory,
    access: OpenFlags,
    busy_timeout: Duration,
) -> Result<Connection, OpenError> {
    // The path of the home may contain links. Files in the home must not be links.
    let path =
        fs::canonicalize(root.path()).map_err(|e| DiskError::new("find", root.path(), e))?.join(LEDGER);
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    // Otherwise, closing the last connection would write back and delete the whole log in every command.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}
