//! The files of the ledger: sets a damaged ledger aside, and removes what is left of one that is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use homing_supervisor::DiskError;

/// Whether the ledger at `path` is missing or empty: a created ledger has a header. A file of another type does not count
/// as missing.
pub(super) fn is_not_created(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or_else(
        |error| error.kind() == io::ErrorKind::NotFound,
        |file| file.is_file() && file.len() == 0,
    )
}

/// Prepares `path` for a new ledger, with the guard held. An emptied ledger may still be open in other processes, so it is
/// not reused; these processes then notice another file at the path. A log without its ledger is set aside.
pub(super) fn clear_remains(path: &Path) -> Result<(), DiskError> {
    let log = with_suffix(path, "-wal");
    if fs::symlink_metadata(log).is_ok_and(|log| log.len() > 0) {
        return rename_aside(path).map(drop);
    }
    for suffix in ["-wal", "-shm", ""] {
        let path = with_suffix(path, suffix);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DiskError::new("remove", path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Renames the files of the ledger at `path`, with the guard held. Returns the new path of the ledger.
pub(super) fn rename_aside(path: &Path) -> Result<PathBuf, DiskError> {
    let kept_as = (1..)
        .map(|number| with_suffix(path, &format!(".damaged-{number}")))
        .find(|path| ["", "-wal"].iter().all(|suffix| !with_suffix(path, suffix).exists()))
        .expect("a greater number is free");
    // The log first: a new ledger must never meet an old log.
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(path, suffix);
        match fs::rename(&from, with_suffix(&kept_as, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DiskError::new("set aside", from, error)),
        }
    }
    Ok(kept_as)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
