//! Open files: identity, access rights, reads and writes at an offset, allocation, durability.
#![allow(unsafe_code, reason = "F_PREALLOCATE (fcntl(2)) that does not shorten the file has no safe wrapper")]

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, fcntl_fullfsync, fstat, fsync, getpath,
    utimensat,
};

use super::errors;

/// Identifies a file or directory while it exists: device and inode. An inode is reused after its file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileIdentity {
    /// Returns the identity of an open file or directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn of(file: impl AsFd) -> io::Result<FileIdentity> {
        Ok(FileIdentity::of_status(&fstat(file)?))
    }

    pub(super) fn of_status(status: &Stat) -> FileIdentity {
        FileIdentity { device: device(status.st_dev), inode: status.st_ino }
    }

    /// Returns the identity of the file at `path`. Follows symbolic links.
    ///
    /// # Errors
    /// If the path does not exist or cannot be reached.
    pub fn of_path(path: &Path) -> io::Result<FileIdentity> {
        let metadata = std::fs::metadata(path)?;
        Ok(FileIdentity { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Returns the number of a device as [`MetadataExt::dev`] does.
pub(super) fn device(device: libc::dev_t) -> u64 {
    device as u64
}

/// Opens a file for reading. Follows symbolic links, because the user named it. Never blocks, whatever its type.
///
/// # Errors
/// If it is missing or cannot be opened.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY)).open(path)
}

/// Opens a regular file for reading; `None` if it has another type. Follows symbolic links. Never blocks.
///
/// # Errors
/// If it is missing or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = open_to_read(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Creates a new file for writing that no other user can read or write (mode 0600).
///
/// # Errors
/// If something with this path exists, or the file cannot be created.
pub fn create_private(path: &Path) -> io::Result<File> {
    create_with_mode(path, 0o600)
}

/// Creates a new file for writing that every user can read (mode 0644, less the umask).
///
/// # Errors
/// As [`create_private`].
pub fn create_public(path: &Path) -> io::Result<File> {
    create_with_mode(path, 0o644)
}

fn create_with_mode(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Creates a directory that no other user can use (mode 0700). An existing directory is not an error.
///
/// # Errors
/// If it cannot be created.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// As [`make_private_directory`], also for each missing directory above it.
///
/// # Errors
/// If one of them cannot be created.
pub fn make_private_directories(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens the null device for reading and writing. What is written to it disappears.
///
/// # Errors
/// If it is missing, or this process has no descriptor left.
pub fn open_null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

fn flags(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).expect("flags of open(2) fit the type of its argument")
}

/// Reads from `offset` until the buffer is full or the file ends. Returns the number of bytes.
///
/// # Errors
/// If a read fails.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all bytes at `offset`, in one call.
///
/// # Errors
/// If the write fails, or the system accepts only a part of the bytes, which is an error like that of a full disk.
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    if file.write_at(bytes, offset)? == bytes.len() {
        return Ok(());
    }
    // Do not write the rest: beyond a limit on the size of files, that ends this process (SIGXFSZ, setrlimit(2)).
    Err(errors::disk_full())
}

/// Allocates the first `length` bytes of a file on disk, so that writing them needs no free space. Makes the file at
/// least this long. A file system that cannot reserve allocates on write, which is not an error.
///
/// # Errors
/// If the disk has too little space.
pub fn reserve(file: &File, length: u64) -> io::Result<()> {
    let status = file.metadata()?;
    let missing = length.saturating_sub(status.len().max(status.blocks().saturating_mul(512)));
    if missing > 0 {
        preallocate(file, missing)?;
    }
    if status.len() < length { file.set_len(length) } else { Ok(()) }
}

/// Allocates `bytes` after the end of what is allocated (`F_PREALLOCATE`, fcntl(2)). The length does not change.
fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    let mut store = libc::fstore_t {
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: libc::off_t::try_from(bytes).map_err(|_| errors::disk_full())?,
        fst_bytesalloc: 0,
    };
    // SAFETY: the structure is a live local, which the kernel reads and writes during the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut store) } != -1 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ENOSPC) => Err(error),
        error if error.raw_os_error() == Some(libc::EDQUOT) => Err(error),
        // A file system that cannot reserve.
        _ => Ok(()),
    }
}

/// Starts writing the content of a file to disk without waiting. macOS has no call for this, and writes content after a
/// few seconds by itself.
pub fn start_writing(_file: &File) {}

/// Makes the content of a file durable, also in the cache of the drive (`F_FULLFSYNC`, fcntl(2)): fsync(2) leaves it there.
///
/// # Errors
/// If the sync fails.
pub fn sync_content(file: &File) -> io::Result<()> {
    sync_handle(file)
}

/// Makes the content and the metadata of a file durable, also in the cache of the drive (`F_FULLFSYNC`, fcntl(2)).
///
/// # Errors
/// If the sync fails.
pub fn sync(file: &File) -> io::Result<()> {
    sync_handle(file)
}

/// `F_FULLFSYNC`, or fsync(2) on a file system that does not support it, such as one on a network.
pub(super) fn sync_handle(file: impl AsFd) -> io::Result<()> {
    match fcntl_fullfsync(&file) {
        Ok(()) => Ok(()),
        Err(_) => Ok(fsync(file)?),
    }
}

/// Makes watchers of the file's directory report it. Closing a file does not do that on macOS, and neither does opening one
/// that exists. So this sets the times of the directory ([`notify`](super::notify) watches its attributes).
///
/// # Errors
/// If the file has no path any more, or this user may not write to its directory.
pub fn announce_write(file: &File) -> io::Result<()> {
    let path = getpath(file)?;
    let directory = Path::new(OsStr::from_bytes(path.to_bytes())).parent().ok_or_else(errors::not_found)?;
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    Ok(utimensat(CWD, directory, &times, AtFlags::empty())?)
}
