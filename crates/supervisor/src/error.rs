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
    /// An error that says that a newer version of this program wrote the file, which is left alone.
    pub fn unsupported(path: impl AsRef<Path>) -> DiskError {
        let message = "it was written by a newer version of homing";
        DiskError::new("understand", path, io::Error::new(io::ErrorKind::Unsupported, message))
    }

    /// Whether a newer version of this program wrote the file.
    pub fn is_unsupported(&self) -> bool {
        self.source.kind() == io::ErrorKind::Unsupported && self.source.raw_os_error().is_none()
    }

    /// An error at `path` while trying to `action`.
    pub fn new(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> DiskError {
        DiskError { action, path: path.as_ref().to_owned(), source: source.into() }
    }
}
