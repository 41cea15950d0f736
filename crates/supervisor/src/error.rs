//! Errors of the disk, with the place they happened at.

use std::io;
use std::path::{Path, PathBuf};

/// Something on disk could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// What was tried: a verb that reads well after "cannot".
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the system answered.
    pub source: io::Error,
}

impl DiskError {
    /// An error at `path` while trying to `action`.
    pub fn new(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> DiskError {
        DiskError { action, path: path.as_ref().to_owned(), source: source.into() }
    }
}
