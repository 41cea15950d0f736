//! An open directory. Opens what is in it relative to it, never through a symbolic link, and creates files and
//! directories that no other user can use.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::file::{FileIdentity, sync_handle};

const DIRECTORY_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const SAFE: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
/// A planted FIFO must not block open(2). The flags have no effect on regular files.
const NEVER_BLOCKS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
}

/// The type of an entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a FIFO, a device or a socket.
    Other,
}

impl Directory {
    /// Opens a directory by its path, which the user chose and may contain symbolic links.
    ///
    /// # Errors
    /// If it is missing, is not a directory, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Directory { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// If it is missing, is a symbolic link or not a directory, or cannot be opened.
    pub fn open_directory(&self, name: &OsStr) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | SAFE;
        Ok(Directory { fd: openat(&self.fd, name, flags, Mode::empty())? })
    }

    /// Makes a second handle of the same open directory. Both share one lock. On Linux, closing either of them removes the
    /// watch of this process on the directory (dnotify, fcntl(2) `F_NOTIFY`).
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Directory> {
        Ok(Directory { fd: self.fd.try_clone()? })
    }

    /// Creates a directory in this one, mode 0700. Returns whether it is new.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn make_directory(&self, name: &str) -> io::Result<bool> {
        match mkdirat(&self.fd, name, DIRECTORY_MODE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a new file, mode 0600, for reading and writing.
    ///
    /// # Errors
    /// If it already exists or cannot be created.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFE;
        Ok(openat(&self.fd, name, flags, FILE_MODE)?.into())
    }

    /// Opens a regular file for writing, and creates it, mode 0600, if it is missing. Never blocks.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_or_create(&self, name: &str) -> io::Result<File> {
        self.open_regular(name, OFlags::WRONLY | OFlags::CREATE)
    }

    /// Opens a regular file for reading. Never blocks.
    ///
    /// # Errors
    /// If it is missing, a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_to_read(&self, name: &str) -> io::Result<File> {
        self.open_regular(name, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing. Never blocks.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`].
    pub fn open_to_update(&self, name: &str) -> io::Result<File> {
        self.open_regular(name, OFlags::RDWR)
    }

    /// Opens a file of any type for reading. Never blocks. Check its type before you read it.
    ///
    /// # Errors
    /// If it is missing, a symbolic link or a socket, or cannot be opened.
    pub fn open_any(&self, name: &OsStr) -> io::Result<File> {
        Ok(openat(&self.fd, name, OFlags::RDONLY | NEVER_BLOCKS | SAFE, Mode::empty())?.into())
    }

    fn open_regular(&self, name: &str, access: OFlags) -> io::Result<File> {
        let file: File = match openat(&self.fd, name, access | NEVER_BLOCKS | SAFE, FILE_MODE) {
            Ok(file) => file.into(),
            // A FIFO without a reader; a socket, with another error on each system (open(2)).
            Err(Errno::NXIO | Errno::OPNOTSUPP) => return Err(not_regular()),
            Err(error) => return Err(error.into()),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
    }

    /// Returns the type of an entry. Does not follow symbolic links.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing.
    pub fn kind_of(&self, name: &str) -> io::Result<EntryKind> {
        let status = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(kind(FileType::from_raw_mode(status.st_mode)))
    }

    /// Returns the identity of this directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn identity(&self) -> io::Result<FileIdentity> {
        FileIdentity::of(&self.fd)
    }

    /// Returns the identity of an entry. Does not follow symbolic links.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing.
    pub fn identity_of(&self, name: &str) -> io::Result<FileIdentity> {
        Ok(FileIdentity::of_status(&statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Returns the names of all entries, in no particular order, and their types if the file system reports them with
    /// the names. Skips names that are not UTF-8: homing creates only UTF-8 names.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<(String, Option<EntryKind>)>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system reports the type (readdir(3)).
                FileType::Unknown => None,
                known => Some(kind(known)),
            };
            entries.push((name.to_owned(), kind));
        }
        Ok(entries)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing. If it is a directory or cannot be removed.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing. If it is not empty or cannot be removed.
    pub fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::REMOVEDIR)?)
    }

    /// Renames an entry, and moves it to another directory of the same file system if `to` is one. Replaces a file of
    /// the new name in one step.
    ///
    /// # Errors
    /// If the entry is missing or cannot be moved.
    pub fn rename(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<()> {
        Ok(renameat(&self.fd, name, &to.fd, new_name)?)
    }

    /// As [`Directory::rename`], but replaces nothing (`RENAME_NOREPLACE`, renameat2(2)). Returns whether the new name was
    /// free.
    ///
    /// # Errors
    /// As [`Directory::rename`].
    pub fn rename_without_replacing(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<bool> {
        match renameat_with(&self.fd, name, &to.fd, new_name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Moves a directory to `new_name` in another one, unless a directory of that name exists that is not empty.
    /// Returns whether it was moved. Supported by every file system.
    ///
    /// # Errors
    /// As [`Directory::rename`].
    pub fn rename_directory(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<bool> {
        match renameat(&self.fd, name, &to.fd, new_name) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Exchanges two entries in one step.
    ///
    /// # Errors
    /// If one of them is missing, or the file system does not support it.
    pub fn exchange(&self, name: &str, with: &Directory, other: &str) -> io::Result<()> {
        Ok(renameat_with(&self.fd, name, &with.fd, other, RenameFlags::EXCHANGE)?)
    }

    /// Makes its entries durable (fsync(2), on macOS `F_FULLFSYNC` of fcntl(2)).
    ///
    /// # Errors
    /// If the sync fails.
    pub fn sync(&self) -> io::Result<()> {
        sync_handle(&self.fd)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn kind(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        _ => EntryKind::Other,
    }
}

/// Creates the error for an entry that is not a regular file.
pub fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}
