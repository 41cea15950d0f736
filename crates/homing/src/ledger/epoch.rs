//! The epoch of the log of events: a random number that changes when the numbers of events begin again, so that a cursor
//! never means another event than the one that it was returned with.

use homing_supervisor::platform::file_id::FileId;
use rusqlite::{Connection, TransactionBehavior};

use super::meta::{meta, set_meta};

const EPOCH: &str = "events_epoch";
/// The file that the epoch is for: a copy of the ledger gets an epoch of its own.
const FILE: &str = "events_file";

/// The epoch; `None` before [`ensure`].
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    Ok(meta(connection, EPOCH)?.and_then(|text| u32::from_str_radix(&text, 16).ok()))
}

/// Begins a new epoch. Returns it.
pub(super) fn renew(connection: &Connection) -> rusqlite::Result<u32> {
    let random: i64 = connection.query_row("SELECT random()", [], |row| row.get(0))?;
    let [a, b, c, d, ..] = random.to_le_bytes();
    let epoch = u32::from_le_bytes([a, b, c, d]);
    set_meta(connection, EPOCH, &format!("{epoch:08x}"))?;
    Ok(epoch)
}

/// Begins a new epoch if the ledger is new, or if this file was put in the place of another one.
pub(super) fn ensure(connection: &mut Connection, file: FileId) -> rusqlite::Result<()> {
    let file = file.to_string();
    if meta(connection, FILE)?.as_deref() == Some(&*file) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it during the wait.
    if meta(&transaction, FILE)?.as_deref() != Some(&*file) {
        renew(&transaction)?;
        set_meta(&transaction, FILE, &file)?;
    }
    transaction.commit()
}
