//! Identifies a file for longer than it exists. The ids of NTFS and ReFS count how often a place was used, so they are not
//! used again. The time of creation would prove nothing: Windows gives a file the time of a file that had the same name
//! until 15 seconds ago, and a file system that does not keep it reports another time.

use std::ffi::OsStr;
use std::fmt;
use std::os::windows::io::AsHandle;
use std::path::Path;

use super::file_identity::{FileIdentity, INSPECT, inspect};
use super::file_name::FileName;
use super::nt::{Kind, Open};

/// Volume and id in the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    identity: FileIdentity,
}

impl FileId {
    /// Returns the id of what a path names now; `None` if it is missing. Does not follow a link at its end.
    pub fn of_path(path: &Path) -> Option<FileId> {
        FileId::of_open(inspect(path, false).ok()?)
    }

    /// As [`FileId::of_path`], for a path that the user chose and may contain links.
    pub fn of_resolved_path(path: &Path) -> Option<FileId> {
        FileId::of_open(inspect(path, true).ok()?)
    }

    /// Returns the id of an entry of an open directory; `None` if it is missing.
    pub fn of_entry(directory: impl AsHandle, name: &str) -> Option<FileId> {
        let name = FileName::new(OsStr::new(name)).ok()?;
        FileId::of_open(Open::existing(Kind::Any, INSPECT).at(directory, &name).ok()?)
    }

    /// Returns the id of an open file or directory; `None` if the file system does not answer.
    pub fn of_open(file: impl AsHandle) -> Option<FileId> {
        Some(FileId { identity: FileIdentity::of(file).ok()? })
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileIdentity { volume, id } = self.identity;
        write!(f, "{volume:x}:{id:x}")
    }
}
