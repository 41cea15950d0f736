//! Whether a path still means the file or directory that was opened. Reads metadata only.

use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

use homing_supervisor::layout::Directory;
use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};

/// Device, inode, and the time of birth where the file system has one: an inode number is given out again as soon as
/// its file is gone (statx(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    born_ns: i128,
}

impl FileId {
    /// What a path means now; `None` where nothing is there. A link at its end is not followed.
    pub(crate) fn of_path(path: &Path) -> Option<FileId> {
        read(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// As [`FileId::of_path`], for a path that is the user's own and may lead through links.
    pub(crate) fn of_resolved_path(path: &Path) -> Option<FileId> {
        read(CWD, path, AtFlags::empty())
    }

    /// What a name in an open directory means now.
    pub(crate) fn of_entry(directory: &Directory, name: &str) -> Option<FileId> {
        read(directory, Path::new(name), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// What is open.
    pub(crate) fn of_open(file: impl AsFd) -> Option<FileId> {
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
