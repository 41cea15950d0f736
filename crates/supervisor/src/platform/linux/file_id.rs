//! Identifies a file for longer than it exists: with its time of birth, because an inode is reused as soon as its file
//! is gone (statx(2)).

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

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
        read(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// As [`FileId::of_path`], for a path that the user chose and may contain symbolic links.
    pub fn of_resolved_path(path: &Path) -> Option<FileId> {
        read(CWD, path, AtFlags::empty())
    }

    /// Returns the id of an entry of an open directory; `None` if it is missing.
    pub fn of_entry(directory: impl AsFd, name: &str) -> Option<FileId> {
        read(directory, Path::new(name), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Returns the id of an open file or directory; `None` if the file system does not answer.
    pub fn of_open(file: impl AsFd) -> Option<FileId> {
        read(file, Path::new(""), AtFlags::EMPTY_PATH)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}:{:x}", self.device, self.inode, self.born_ns)
    }
}

fn read(base: impl AsFd, path: &Path, flags: AtFlags) -> Option<FileId> {
    let status = statx(base, path, flags, StatxFlags::INO | StatxFlags::BTIME).ok()?;
    let has_birth = status.stx_mask & StatxFlags::BTIME.bits() != 0;
    let born = i128::from(status.stx_btime.tv_sec) * 1_000_000_000 + i128::from(status.stx_btime.tv_nsec);
    Some(FileId {
        device: makedev(status.stx_dev_major, status.stx_dev_minor),
        inode: status.stx_ino,
        born_ns: if has_birth { born } else { 0 },
    })
}
