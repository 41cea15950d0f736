//! Reads the queued messages of a thread in the database of Codex. Never writes to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// How long a read waits while Codex writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The messages that wait for a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Whether a database exists. Codex creates it when it starts.
    pub(super) has_database: bool,
    /// The messages, as JSON.
    pub(super) messages: Vec<String>,
}

/// The messages that wait for a thread, in all databases.
///
/// # Errors
/// If a database cannot be read, or has another format: for people.
pub(super) fn waiting(databases: &[PathBuf], session: &str) -> Result<Waiting, String> {
    let mut waiting = Waiting::default();
    for database in databases {
        waiting.has_database = true;
        let messages = messages(database, session)
            .map_err(|error| format!("cannot read the queue of Codex in {}: {error}", database.display()))?;
        waiting.messages.extend(messages);
    }
    Ok(waiting)
}

fn messages(database: &Path, session: &str) -> rusqlite::Result<Vec<String>> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    // The text of 0.169 is JSON in a text column; other versions may store a blob.
    let query = "SELECT CAST(payload_json AS TEXT) FROM queued_items WHERE thread_id = ?1";
    let mut statement = database.prepare(query)?;
    statement.query_map([session], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_the_thread_wait_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queue_1.sqlite");
        let database = Connection::open(&path).unwrap();
        let table = "CREATE TABLE queued_items (thread_id TEXT, payload_json TEXT);
            INSERT INTO queued_items VALUES ('a', '{\"UserInput\":{}}'), ('b', '1')";
        database.execute_batch(table).unwrap();
        let paths = [path];
        let found = waiting(&paths, "a").unwrap();
        assert_eq!(
            (found.has_database, found.messages.as_slice()),
            (true, &["{\"UserInput\":{}}".to_owned()][..])
        );
        assert_eq!(waiting(&paths, "c").unwrap().messages, [""; 0]);
        assert_eq!(waiting(&[], "a").unwrap(), Waiting::default());
        database.execute_batch("ALTER TABLE queued_items RENAME COLUMN payload_json TO payload").unwrap();
        let error = waiting(&paths, "a").unwrap_err();
        assert!(
            error.starts_with("cannot read the queue of Codex in /") && error.contains("payload_json"),
            "{error}"
        );
        std::fs::write(&paths[0], "not a database").unwrap();
        assert!(waiting(&paths, "a").is_err());
    }
}
