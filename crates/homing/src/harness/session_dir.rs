//! Finds the directory in which to resume a session.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use homing_supervisor::platform::file::open_regular;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::json::at;
use super::paths::Paths;
use super::preset::Directory;

/// How much of a transcript is searched, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// How much of a file with one path is read, in bytes: a path has at most 4,096 (PATH_MAX in limits.h).
const MAX_PATH_BYTES: u64 = 16 << 10;

/// The directory of a session, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionDir {
    /// The session exists and has this directory.
    In(PathBuf),
    /// The session exists; its directory is unknown.
    Somewhere,
    /// No session of that id was found.
    Unknown,
}

impl Directory {
    /// The directory in which to resume a session.
    pub(crate) fn of(&self, session: &str, paths: &Paths) -> SessionDir {
        match self {
            Directory::Transcript { files, key, folder_is_named_after_it } => {
                let Some(transcript) = paths.find(files, session).into_iter().next() else {
                    return SessionDir::Unknown;
                };
                let folder = transcript.parent().and_then(Path::file_name).and_then(|name| name.to_str());
                let folder = if *folder_is_named_after_it { folder } else { None };
                in_transcript(&transcript, key, folder).map_or(SessionDir::Somewhere, SessionDir::In)
            }
            Directory::Beside { files, root, required: _ } => {
                let Some(transcript) = paths.find(files, session).into_iter().next() else {
                    return SessionDir::Unknown;
                };
                let root = transcript.parent().map(|folder| folder.join(root));
                let text = root.and_then(|root| read_small(&root));
                let directory = text.map(|text| PathBuf::from(text.trim())).filter(|path| path.is_absolute());
                directory.map_or(SessionDir::Somewhere, SessionDir::In)
            }
            Directory::Database { file, query } => {
                let Some(database) = paths.find(file, session).into_iter().next() else {
                    return SessionDir::Unknown;
                };
                match in_database(&database, query, session) {
                    Ok(Some(directory)) => SessionDir::In(directory),
                    Ok(None) => SessionDir::Unknown,
                    // Another version of the harness: let the harness decide.
                    Err(_) => SessionDir::Somewhere,
                }
            }
        }
    }

    /// Whether a session without a known directory must not be resumed.
    pub(crate) fn is_required(&self) -> bool {
        matches!(self, Directory::Beside { required: true, .. })
    }
}

/// Reads a regular file that contains one path.
fn read_small(path: &Path) -> Option<String> {
    let mut text = String::new();
    open_regular(path).ok()??.take(MAX_PATH_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The first directory that a transcript names. If `folder` is given, prefers the first directory that matches it.
fn in_transcript(path: &Path, key: &str, folder: Option<&str>) -> Option<PathBuf> {
    let mut first = None;
    let lines = BufReader::new(open_regular(path).ok()??.take(MAX_BYTES));
    for line in lines.split(b'\n') {
        let Ok(line) = line else { break };
        let Ok(entry) = serde_json::from_slice::<Value>(&line) else { continue };
        let Some(directory) = at(&entry, key).and_then(Value::as_str) else { continue };
        if folder.is_none_or(|folder| dashed(directory) == folder) {
            return Some(directory.into());
        }
        first.get_or_insert_with(|| PathBuf::from(directory));
    }
    first
}

/// A path as a folder name: with dashes for all but letters and digits.
fn dashed(path: &str) -> String {
    path.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

fn in_database(path: &Path, query: &str, session: &str) -> rusqlite::Result<Option<PathBuf>> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = database.prepare(query)?;
    let mut rows = statement.query([session])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(PathBuf::from(row.get::<_, String>(0)?)))
}
