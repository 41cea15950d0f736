//! Who may use a file: owner, group, mode and access control list.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, Stat, fgetxattr, fstat, lstat, major, minor};
use rustix::io::Errno;

use super::user;

/// The access rights and the type of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// User id of its owner.
    pub owner: u32,
    /// Group id.
    pub group: u32,
    /// Permission bits (inode(7)), including set-user-ID, set-group-ID and sticky.
    pub mode: u32,
    /// Whether it is a regular file.
    pub is_regular: bool,
    /// Whether it is the null device.
    pub is_null_device: bool,
}

impl Access {
    /// Returns the access rights of an open file or directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsFd) -> io::Result<Access> {
        Ok(Access::from_status(&fstat(file)?))
    }

    /// Returns the access rights of what `path` names, of the link itself if it is a symbolic link.
    ///
    /// # Errors
    /// If it is missing or cannot be reached.
    pub fn of_link(path: &Path) -> io::Result<Access> {
        Ok(Access::from_status(&lstat(path)?))
    }

    fn from_status(status: &Stat) -> Access {
        let kind = FileType::from_raw_mode(status.st_mode);
        let is_null = (major(status.st_rdev), minor(status.st_rdev)) == (1, 3);
        Access {
            owner: status.st_uid,
            group: status.st_gid,
            mode: status.st_mode & 0o7777,
            is_regular: kind == FileType::RegularFile,
            is_null_device: kind == FileType::CharacterDevice && is_null,
        }
    }

    /// Whether the user of this process owns it.
    pub fn is_own(&self) -> bool {
        self.owner == user::effective_id()
    }

    /// Whether the user of this process or root owns it.
    pub fn is_own_or_of_root(&self) -> bool {
        self.owner == 0 || self.is_own()
    }

    /// Whether its group may write.
    pub fn group_can_write(&self) -> bool {
        self.mode & 0o020 != 0
    }

    /// Whether every user may write.
    pub fn others_can_write(&self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether its group or every user has any right.
    pub fn is_shared(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Whether it is a sticky directory, in which users cannot replace files of other users (inode(7)).
    pub fn is_sticky(&self) -> bool {
        self.mode & Mode::SVTX.as_raw_mode() != 0
    }
}

/// Whether an open file or directory has an access control list (acl(5)), or this cannot be found out. With a list,
/// the rights of the group apply to every user that the list names.
pub fn may_have_access_list(file: impl AsFd) -> bool {
    let list = fgetxattr(file, "system.posix_acl_access", &mut [0u8; 0]);
    !matches!(list, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

/// Returns the permission bits of the file at `path`. Follows symbolic links.
///
/// # Errors
/// If it is missing or cannot be reached.
pub fn mode_of(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

/// Sets the permission bits of an open file.
///
/// # Errors
/// If this user does not own it.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}
