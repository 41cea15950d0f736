//! File system errors with action and path.

use std::io;
use std::path::{Path, PathBuf};

/// A file system operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// The failed action: a verb that follows "cannot".
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The error of the system.
    pub source: io::Error,
}

impl DiskError {
    /// Creates an error for a file that a newer version of homing wrote. Such files are not changed.
    pub fn unsupported(path: impl AsRef<Path>) -> DiskError {
        let message = "it was written by a newer version of homing";
        DiskError::new("understand", path, io::Error::new(io::ErrorKind::Unsupported, message))
    }

    /// Whether a newer version of homing wrote the file.
    pub fn is_unsupported(&self) -> bool {
        self.source.kind() == io::ErrorKind::Unsupported && self.source.raw_os_error().is_none()
    }

    /// Creates an error for random bytes that the system does not have.
    pub fn no_random_bytes(source: io::Error) -> DiskError {
        DiskError::new("read", "/dev/urandom", source)
    }

    /// Creates an error for a failed `action` at `path`.
    pub fn new(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> DiskError {
        DiskError { action, path: path.as_ref().to_owned(), source: source.into() }
    }
}
