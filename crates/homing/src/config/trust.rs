//! Checks that the configuration file can be trusted, because homing runs the programs that it names. The user or
//! root must own it, and no other user may be able to write to the file or its folder.

use std::io::{self, Read};
use std::path::Path;

use homing_core::text::grouped;
use homing_supervisor::platform::access::{Access, may_have_access_list};
use homing_supervisor::platform::dir::Directory;
use homing_supervisor::platform::user;

use crate::error::ConfigRefusal;
use crate::{Error, Result};

/// Longest accepted configuration, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a trusted configuration. Never blocks, also if it is a FIFO.
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
    let folder = Directory::open(folder_path).map_err(unreadable)?;
    // Opens the file of the checked folder, even if folders are renamed meanwhile.
    let file = folder.open_any(name).map_err(unreadable)?;
    let access = Access::of(&file).map_err(unreadable)?;
    // It counts as an empty configuration, although every user can write to it.
    if access.is_null_device {
        return Ok(String::new());
    }
    check_folder(&folder).map_err(|found| refused(folder_path, found))?;
    if link_folder != folder_path {
        let folder = Directory::open(&link_folder).map_err(unreadable)?;
        check_folder(&folder).map_err(|found| refused(&link_folder, found))?;
    }
    let link = Access::of_link(path).map_err(unreadable)?;
    check_owner(link).map_err(|found| refused(path, found))?;
    check_owner(access)
        .and_then(|()| check_writers(access, || may_have_access_list(&file)))
        .map_err(|found| refused(&resolved, found))?;
    if !access.is_regular {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("it is longer than {} bytes", grouped(MAX_BYTES))));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text".to_owned()))
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
        let (user, shown) = (user::effective_id(), path.display());
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

fn check_owner(access: Access) -> Result<(), Found> {
    if access.is_own_or_of_root() { Ok(()) } else { Err(Found::Owner(access.owner)) }
}

fn check_folder(folder: &Directory) -> Result<(), Found> {
    let access = Access::of(folder).map_err(|_| Found::Others { mode: 0 })?;
    check_owner(access)?;
    // In a sticky folder, users cannot replace files of other users.
    if access.is_sticky() { Ok(()) } else { check_writers(access, || may_have_access_list(folder)) }
}

fn check_writers(access: Access, may_have_list: impl FnOnce() -> bool) -> Result<(), Found> {
    let mode = access.mode;
    if access.others_can_write() {
        return Err(Found::Others { mode });
    }
    if !access.group_can_write() {
        return Ok(());
    }
    // With an access control list, the group bits apply to every user that it names.
    if may_have_list() {
        return Err(Found::AccessList { mode });
    }
    if user::is_private_group(access.group) { Ok(()) } else { Err(Found::Group { gid: access.group, mode }) }
}
