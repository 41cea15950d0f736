//! Checks that the configuration file can be trusted, because homing runs the programs that it names. The user or
//! root must own it, and no other user may be able to write to the file or its folder.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use homing_core::text::grouped;
use rustix::fs::{FileType, Mode, OFlags, Stat, fgetxattr, fstat, lstat, major, minor, open, openat};
use rustix::io::Errno;

use super::private_group::is_private_group;
use crate::error::ConfigRefusal;
use crate::{Error, Result};

/// Longest accepted configuration, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a trusted configuration. Never blocks, whatever the type of the file.
///
/// # Errors
/// [`Error::ConfigRefused`] if other users can write it. [`Error::InvalidConfig`] if it cannot be read, is not a
/// regular file, is longer than 1 MiB, or is not text.
pub(super) fn read_trusted(path: &Path) -> Result<String> {
    let invalid = |message: String| Error::InvalidConfig { path: path.to_owned(), message };
    let unreadable = |error: io::Error| invalid(error.to_string());
    let refused = |checked: &Path, found: Found| {
        let (reason, hint) = found.describe(checked, checked != path);
        Error::ConfigRefused(ConfigRefusal { path: path.to_owned(), reason, hint })
    };
    let resolved = std::fs::canonicalize(path).map_err(unreadable)?;
    let (Some(folder_path), Some(name)) = (resolved.parent(), resolved.file_name()) else {
        return Err(invalid("it is not a regular file".to_owned()));
    };
    // A user who can write to the folder of a link can replace the link.
    let link_folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let link_folder = std::fs::canonicalize(link_folder).map_err(unreadable)?;
    let folder = open_folder(folder_path).map_err(|error| unreadable(error.into()))?;
    // Opens the file of the checked folder, even if folders are renamed meanwhile.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&folder, name, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let status = fstat(&file).map_err(|error| unreadable(error.into()))?;
    if is_null_device(&status) {
        return Ok(String::new());
    }
    check_folder(&folder).map_err(|found| refused(folder_path, found))?;
    if link_folder != folder_path {
        let folder = open_folder(&link_folder).map_err(|error| unreadable(error.into()))?;
        check_folder(&folder).map_err(|found| refused(&link_folder, found))?;
    }
    let link = lstat(path).map_err(|error| unreadable(error.into()))?;
    check_owner(&link).map_err(|found| refused(path, found))?;
    check_owner(&status)
        .and_then(|()| check_writers(&status, &file))
        .map_err(|found| refused(&resolved, found))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("it is longer than {} bytes", grouped(MAX_BYTES))));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text".to_owned()))
}

fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// `/dev/null` counts as an empty configuration, although every user can write to it.
fn is_null_device(status: &Stat) -> bool {
    let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    is_device && (major(status.st_rdev), minor(status.st_rdev)) == (1, 3)
}

/// Who else can write to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Another user owns it.
    Owner(u32),
    /// A group with other members can write to it.
    Group { gid: u32, mode: u32 },
    /// Every user can write to it.
    Others { mode: u32 },
    /// An access control list lets other users write to it (acl(5)).
    AccessList { mode: u32 },
}

impl Found {
    /// Why it is not trusted, and what the user can do.
    fn describe(self, path: &Path, is_named: bool) -> (String, String) {
        let (user, shown) = (user(), path.display());
        let what = if is_named { format!("{shown}: ") } else { String::new() };
        let (reason, hint) = match self {
            Found::Owner(owner) => (
                format!("it belongs to user {owner}, not to you (user {user}) or root"),
                format!("check its contents, then run: chown {user} {shown}"),
            ),
            Found::Group { gid, mode } => (
                format!("group {gid} can write to it (mode {mode:04o})"),
                format!("check its contents, then run: chmod g-w {shown}"),
            ),
            Found::Others { mode } => (
                format!("others can write to it (mode {mode:04o})"),
                format!("check its contents, then run: chmod go-w {shown}"),
            ),
            Found::AccessList { mode } => (
                format!("its access control list may let others write to it (mode {mode:04o})"),
                format!("check its contents, then run: setfacl -b {shown}"),
            ),
        };
        (what + &reason, hint)
    }
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn check_owner(status: &Stat) -> Result<(), Found> {
    match status.st_uid {
        0 => Ok(()),
        owner if owner == user() => Ok(()),
        owner => Err(Found::Owner(owner)),
    }
}

fn check_folder(folder: &OwnedFd) -> Result<(), Found> {
    let status = fstat(folder).map_err(|_| Found::Others { mode: 0 })?;
    check_owner(&status)?;
    // In a sticky folder, users cannot replace files of other users (inode(7)).
    let is_sticky = status.st_mode & Mode::SVTX.as_raw_mode() != 0;
    if is_sticky { Ok(()) } else { check_writers(&status, folder) }
}

fn check_writers(status: &Stat, file: &OwnedFd) -> Result<(), Found> {
    let mode = status.st_mode & 0o7777;
    if mode & 0o002 != 0 {
        return Err(Found::Others { mode });
    }
    if mode & 0o020 == 0 {
        return Ok(());
    }
    // With an access control list, the group bits apply to every user that it names.
    match fgetxattr(file, "system.posix_acl_access", &mut [0u8; 0]) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
        Ok(_) | Err(_) => return Err(Found::AccessList { mode }),
    }
    if is_private_group(status.st_gid) { Ok(()) } else { Err(Found::Group { gid: status.st_gid, mode }) }
}
