//! Identifies a file for longer than it exists: with its time of birth, because a file system may use an inode again
//! after its file is gone (stat(2)).

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Stat, fstat, statat};

/// Device, inode, and time of birth if the file system records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
    born_ns: i128,
}

impl FileId {
    /// Returns the id of what a path names now; `None` if it is missing. Does not follow a link at its end.
    pub fn of_path(path: &Path) -> Option<FileId> {
        statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok().map(FileId::from_status)
    }

    /// As [`FileId::of_path`], for a path that the user chose and may contain symbolic links.
    pub fn of_resolved_path(path: &Path) -> Option<FileId> {
        statat(CWD, path, AtFlags::empty()).ok().map(FileId::from_status)
    }

    /// Returns the id of an entry of an open directory; `None` if it is missing.
    pub fn of_entry(directory: impl AsFd, name: &str) -> Option<FileId> {
        statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(FileId::from_status)
    }

    /// Returns the id of an open file or directory; `None` if the file system does not answer.
    pub fn of_open(file: impl AsFd) -> Option<FileId> {
        fstat(file).ok().map(FileId::from_status)
    }

    fn from_status(status: Stat) -> FileId {
        // APFS and HFS+ record it. A file system that does not reports a constant or no time (stat(2)).
        let born = i128::from(status.st_birthtime) * 1_000_000_000 + i128::from(status.st_birthtime_nsec);
        FileId { device: u64::from(status.st_dev.cast_unsigned()), inode: status.st_ino, born_ns: born }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}:{:x}", self.device, self.inode, self.born_ns)
    }
}
