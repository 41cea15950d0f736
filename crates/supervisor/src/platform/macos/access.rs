//! Who may use a file: owner, group, mode and access control list. Three checks, each for a different use, report files
//! that other users can use too.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, Stat, fstat, lstat};

use super::access_list::{Allowed, allowed};
use super::user;

/// The null device. Its number is not documented.
const NULL_DEVICE: &str = "/dev/null";

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
        let is_device = kind == FileType::CharacterDevice;
        Access {
            owner: status.st_uid,
            group: status.st_gid,
            mode: u32::from(status.st_mode) & 0o7777,
            is_regular: kind == FileType::RegularFile,
            is_null_device: is_device && lstat(NULL_DEVICE).is_ok_and(|null| null.st_rdev == status.st_rdev),
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
        self.mode & u32::from(Mode::SVTX.as_raw_mode()) != 0
    }
}

/// Why other users can use a file, and what the user can do about it. Both are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The reason. Does not name the file.
    pub reason: String,
    /// The command that corrects it.
    pub hint: String,
    /// Whether another user owns the file.
    pub is_foreign: bool,
}

/// Checks an open directory whose content no other user may change: this user must own it, and nobody else can write to
/// it. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn private_directory(directory: impl AsFd, path: &Path) -> io::Result<Option<Exposure>> {
    let access = Access::of(&directory)?;
    if !access.is_own() {
        let (owner, user) = (access.owner, user::effective_id());
        return Ok(Some(Exposure {
            reason: format!("it belongs to user {owner}, but this process runs as user {user}"),
            hint: format!("chown {user} {}", path.display()),
            is_foreign: true,
        }));
    }
    if access.group_can_write() || access.others_can_write() {
        return Ok(Some(Exposure {
            reason: format!("others can write to it (mode {:04o})", access.mode),
            hint: format!("chmod 700 {}", path.display()),
            is_foreign: false,
        }));
    }
    Ok(may_be_written(&directory).then(|| Exposure {
        reason: "its access control list lets others write to it".to_owned(),
        hint: format!("chmod -N {}", path.display()),
        is_foreign: false,
    }))
}

/// Checks an open file or directory whose content is trusted, because it names programs to run: this user or root must
/// own it, and nobody else can write to it. A sticky directory is safe, because users cannot replace files of other
/// users in it. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn trusted(file: impl AsFd, path: &Path) -> io::Result<Option<Exposure>> {
    let status = fstat(&file)?;
    let access = Access::from_status(&status);
    let is_directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    let writer = if !access.is_own_or_of_root() {
        Some(Writer::Owner)
    } else if is_directory && access.is_sticky() {
        None
    } else {
        other_writer(&access, || may_be_written(&file))
    };
    Ok(writer.map(|writer| writer.describe(&access, path)))
}

/// Checks who owns the symbolic link, or other file, that `path` names: this user or root must.
///
/// # Errors
/// If it is missing or cannot be reached.
pub fn trusted_link(path: &Path) -> io::Result<Option<Exposure>> {
    let access = Access::of_link(path)?;
    Ok((!access.is_own_or_of_root()).then(|| Writer::Owner.describe(&access, path)))
}

/// Checks an open file that contains a secret: nobody but its owner can read or change it. `path` is for the hint.
///
/// # Errors
/// If the file system does not answer.
pub fn secret(file: impl AsFd, path: &Path) -> io::Result<Option<Exposure>> {
    let access = Access::of(&file)?;
    let shown = path.display();
    if access.is_shared() {
        return Ok(Some(Exposure {
            reason: format!("other users can read or change it (mode {:04o})", access.mode),
            hint: format!("chmod 600 {shown}"),
            is_foreign: false,
        }));
    }
    let is_listed = !matches!(allowed(&file), Ok(Allowed::Nothing));
    Ok(is_listed.then(|| Exposure {
        reason: "its access control list lets others read or change it".to_owned(),
        hint: format!("chmod -N {shown}"),
        is_foreign: false,
    }))
}

/// Gives an open file the permission bits of the file at `from`. Follows symbolic links. The access control list of a new file
/// comes from its directory.
///
/// # Errors
/// If there is no such file, it cannot be reached, or this user does not own `to`.
pub fn copy_rights(from: &Path, to: &File) -> io::Result<()> {
    to.set_permissions(std::fs::metadata(from)?.permissions())
}

/// Who else can write to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// Another user, who owns it.
    Owner,
    /// Its group: the groups of macOS have many members.
    Group,
    /// Every user.
    Others,
    /// Perhaps users that its access control list names (acl(3)).
    AccessList,
}

impl Writer {
    fn describe(self, access: &Access, path: &Path) -> Exposure {
        let (user, shown) = (user::effective_id(), path.display());
        let Access { owner, group, mode, .. } = access;
        let (reason, correction) = match self {
            Writer::Owner => (
                format!("it belongs to user {owner}, not to you (user {user}) or root"),
                format!("chown {user} {shown}"),
            ),
            Writer::Group => {
                (format!("group {group} can write to it (mode {mode:04o})"), format!("chmod g-w {shown}"))
            }
            Writer::Others => {
                (format!("others can write to it (mode {mode:04o})"), format!("chmod go-w {shown}"))
            }
            Writer::AccessList => {
                ("its access control list may let others write to it".to_owned(), format!("chmod -N {shown}"))
            }
        };
        let hint = format!("check its contents, then run: {correction}");
        Exposure { reason, hint, is_foreign: self == Writer::Owner }
    }
}

/// Who besides the owner can write to a file.
fn other_writer(access: &Access, is_listed: impl FnOnce() -> bool) -> Option<Writer> {
    if access.others_can_write() {
        return Some(Writer::Others);
    }
    if access.group_can_write() {
        return Some(Writer::Group);
    }
    is_listed().then_some(Writer::AccessList)
}

/// Whether the access control list of an open file or directory lets users write to it, or this cannot be found out.
fn may_be_written(file: impl AsFd) -> bool {
    !matches!(allowed(file), Ok(Allowed::Nothing | Allowed::Read))
}
