//! The open files of other processes, which Windows does not show: it has no documented call that lists them.

use std::io;
use std::path::{Path, PathBuf};

use super::file::FileIdentity;

/// One open file of a process. Never exists on Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFile {
    /// Current path of the file.
    pub name: PathBuf,
}

impl OpenFile {
    /// Returns the path.
    pub fn link(&self) -> &Path {
        &self.name
    }

    /// Returns the identity of the file.
    pub fn identity(&self) -> Option<FileIdentity> {
        FileIdentity::of_path(&self.name).ok()
    }

    /// Returns the identity of the path `relative` to this directory.
    pub fn identity_of(&self, relative: &str) -> Option<FileIdentity> {
        FileIdentity::of_path(&self.name.join(relative)).ok()
    }
}

/// Returns the open files of a process.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub fn open_files(_pid: u32) -> io::Result<Vec<OpenFile>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows does not list the open files of a process"))
}

/// Whether a process is in the same namespace of this kind as this process. Windows has one namespace of processes and of
/// files, so every process is.
pub fn shares_namespace(_pid: u32, _kind: &str) -> bool {
    true
}

/// Whether the process has this pipe open. Windows does not say, so this is false.
pub fn holds_pipe(_pid: u32, _pipe: u64) -> bool {
    false
}

/// Whether the process holds a lock on this file. Windows does not say, so this is false.
pub fn holds_lock(_pid: u32, _file: FileIdentity) -> bool {
    false
}
