//! Renames and removes entries of directories. Uses the semantics of POSIX where the file system has them (NTFS): a file
//! that is open can be replaced, and its name disappears at once.

use std::io;
use std::os::windows::io::BorrowedHandle;
use std::time::Duration;

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_DISPOSITION_DELETE, FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE, FILE_DISPOSITION_INFORMATION,
    FILE_DISPOSITION_INFORMATION_EX, FILE_DISPOSITION_POSIX_SEMANTICS, FILE_RENAME_IGNORE_READONLY_ATTRIBUTE,
    FILE_RENAME_INFORMATION_0, FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS,
    FileDispositionInformation, FileDispositionInformationEx, FileRenameInformation, FileRenameInformationEx,
};
use windows_sys::Win32::Storage::FileSystem::{DELETE, FILE_READ_ATTRIBUTES};

use super::attributes::Attributes;
use super::entry_kind::{EntryKind, not_regular};
use super::errors;
use super::file_name::FileName;
use super::nt::{self, Kind, Open};

/// Pauses between attempts. Virus scanners and indexers open files for a moment without sharing them.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(120),
];

/// What a rename may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// A file.
    Files,
    /// Nothing.
    Nothing,
}

/// Renames an entry.
///
/// # Errors
/// If the entry is missing or cannot be moved.
pub(super) fn rename(
    from: BorrowedHandle<'_>,
    name: &FileName,
    to: BorrowedHandle<'_>,
    new_name: &FileName,
    replace: Replace,
) -> io::Result<()> {
    // A directory in which a scanner has a file open cannot be renamed either; that is reported as denied.
    let may_pass = |error: &io::Error| errors::is_in_use(error) || errors::is_access_denied(error);
    patiently(|| rename_once(from, name, to, new_name, replace), may_pass)
}

fn rename_once(
    from: BorrowedHandle<'_>,
    name: &FileName,
    to: BorrowedHandle<'_>,
    new_name: &FileName,
    replace: Replace,
) -> io::Result<()> {
    let entry = Open::existing(Kind::Any, DELETE | FILE_READ_ATTRIBUTES).at(from, name)?;
    let mut flags = FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    if replace == Replace::Files {
        flags |= FILE_RENAME_REPLACE_IF_EXISTS;
    }
    let posix = FILE_RENAME_INFORMATION_0 { Flags: flags };
    if nt::try_rename(&entry, FileRenameInformationEx, posix, to, new_name)? {
        return Ok(());
    }
    let plain = FILE_RENAME_INFORMATION_0 { ReplaceIfExists: replace == Replace::Files };
    if nt::try_rename(&entry, FileRenameInformation, plain, to, new_name)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the file system cannot move it there"))
}

/// Removes an entry. `kind` is [`Kind::Directory`] for a directory and [`Kind::NotDirectory`] for all else, also for
/// links to directories.
///
/// # Errors
/// If it is missing, has the other kind, or cannot be removed.
pub(super) fn remove(directory: BorrowedHandle<'_>, name: &FileName, kind: Kind) -> io::Result<()> {
    patiently(|| remove_once(directory, name, kind), errors::is_in_use)
}

fn remove_once(directory: BorrowedHandle<'_>, name: &FileName, kind: Kind) -> io::Result<()> {
    let entry = Open::existing(Kind::Any, DELETE | FILE_READ_ATTRIBUTES).at(directory, name)?;
    let is_directory = Attributes::of(&entry)?.kind() == EntryKind::Directory;
    match kind {
        Kind::Directory if !is_directory => return Err(errors::not_a_directory()),
        Kind::NotDirectory if is_directory => return Err(not_regular()),
        Kind::Any | Kind::Directory | Kind::NotDirectory => {}
    }
    let flags = FILE_DISPOSITION_DELETE
        | FILE_DISPOSITION_POSIX_SEMANTICS
        | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
    let posix = FILE_DISPOSITION_INFORMATION_EX { Flags: flags };
    if nt::try_set(&entry, FileDispositionInformationEx, &posix)? {
        return Ok(());
    }
    let plain = FILE_DISPOSITION_INFORMATION { DeleteFile: true };
    if nt::try_set(&entry, FileDispositionInformation, &plain)? {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the file system cannot remove it"))
}

/// Tries again for about 200 ms while it fails with an error that may pass.
fn patiently(
    mut act: impl FnMut() -> io::Result<()>,
    may_pass: impl Fn(&io::Error) -> bool,
) -> io::Result<()> {
    for pause in PAUSES {
        match act() {
            Err(error) if may_pass(&error) => std::thread::sleep(pause),
            done => return done,
        }
    }
    act()
}
