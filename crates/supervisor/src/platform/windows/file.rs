//! Open files: identity, access rights, reads and writes at an offset, allocation, durability.
#![allow(unsafe_code, reason = "GetFileInformationByHandle has no safe wrapper")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsHandle;
use std::path::{Path, absolute};

use windows_sys::Wdk::Storage::FileSystem::FileAllocationInformation;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ALLOCATION_INFO, FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES,
};

use super::attributes::Attributes;
use super::dir::{Directory, EntryKind};
use super::file_identity::INSPECT;
use super::file_name::FileName;
use super::nt::{self, Kind, Open, of_path};

pub use super::file_identity::FileIdentity;

/// Opens a file or directory for reading. Follows links, because the user named it.
///
/// # Errors
/// If it is missing or cannot be opened.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    // Without the flag, Windows refuses directories as if this user may not open them.
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path).map_err(of_path)
}

/// Opens a regular file for reading; `None` if it has another type. Follows links.
///
/// # Errors
/// If it is missing or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = open_to_read(path)?;
    Ok(is_regular(&file)?.then_some(file))
}

/// Whether an open file is on a disk and is neither a directory nor a link.
pub(super) fn is_regular(file: &impl AsHandle) -> io::Result<bool> {
    Ok(super::file_system::is_disk(file) && Attributes::of(file)?.kind() == EntryKind::File)
}

/// Creates a new file for writing that no other user can read or write.
///
/// # Errors
/// If something with this path exists, or the file cannot be created.
pub fn create_private(path: &Path) -> io::Result<File> {
    let (directory, name) = parent_and_name(path)?;
    let open = Open::existing(Kind::NotDirectory, FILE_GENERIC_WRITE | INSPECT);
    Ok(open.create(&directory, &name)?.into())
}

/// Creates a new file for writing with the rights that files of its directory have.
///
/// # Errors
/// As [`create_private`].
pub fn create_public(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(of_path)
}

/// Creates a directory that no other user can use. An existing directory is not an error.
///
/// # Errors
/// If it cannot be created.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    let (directory, name) = match parent_and_name(path) {
        // The root of a drive has no parent.
        Err(_) if path.is_dir() => return Ok(()),
        parts => parts?,
    };
    match Open::existing(Kind::Directory, FILE_READ_ATTRIBUTES).create(&directory, &name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// As [`make_private_directory`], also for each missing directory above it.
///
/// # Errors
/// If one of them cannot be created.
pub fn make_private_directories(path: &Path) -> io::Result<()> {
    let path = absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|ancestor| !ancestor.is_dir()).collect();
    missing.into_iter().rev().try_for_each(make_private_directory)?;
    // Something else may have the name.
    if path.is_dir() { Ok(()) } else { Err(io::ErrorKind::AlreadyExists.into()) }
}

/// Opens the directory of a path, and checks the name in it.
fn parent_and_name(path: &Path) -> io::Result<(Directory, FileName)> {
    let path = absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not the path of a file"));
    };
    Ok((Directory::open(parent)?, FileName::new(name)?))
}

/// Opens the null device for reading and writing. What is written to it disappears.
///
/// # Errors
/// If it cannot be opened.
pub fn open_null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(r"\\.\NUL")
}

/// Makes watchers of a file's directory report it, by writing one byte at its begin: Windows reports writes and not that a
/// file was closed.
///
/// # Errors
/// If the write fails.
pub fn announce_write(file: &File) -> io::Result<()> {
    write_at(file, b"\n", 0)
}

/// Reads from `offset` until the buffer is full or the file ends. Returns the number of bytes. Moves the position of the
/// handle.
///
/// # Errors
/// If a read fails.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.seek_read(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all bytes at `offset`, in one call. Moves the position of the handle.
///
/// # Errors
/// If the write fails, or the system accepts only a part of the bytes, which is an error like that of a full disk.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    if file.seek_write(bytes, offset)? == bytes.len() { Ok(()) } else { Err(super::errors::disk_full()) }
}

/// Allocates the first `length` bytes of a file on disk, so that writing them needs no free space. Makes the file at
/// least this long. A file system that cannot reserve allocates on write, which is not an error.
///
/// # Errors
/// If the disk has too little space.
pub fn reserve(file: &File, length: u64) -> io::Result<()> {
    // A smaller allocation would cut the file.
    if file.metadata()?.len() >= length {
        return Ok(());
    }
    let allocation =
        FILE_ALLOCATION_INFO { AllocationSize: i64::try_from(length).map_err(io::Error::other)? };
    nt::try_set(file, FileAllocationInformation, &allocation)?;
    // The allocation behind the end of a file is lost when the file is closed.
    file.set_len(length)
}

/// Does nothing: Windows begins to write changed content within a second, and has no call that begins it without waiting.
pub fn start_writing(_file: &File) {}

/// Makes the content of a file durable (FlushFileBuffers). The file must be open for writing.
///
/// # Errors
/// If the sync fails.
pub fn sync_content(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Makes the content and the metadata of a file durable (FlushFileBuffers). The file must be open for writing.
///
/// # Errors
/// If the sync fails.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}
