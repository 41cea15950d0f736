//! An open directory. Opens what is in it relative to it, never through a link, and creates files and directories that no
//! other user can use.
//!
//! Opens with `FILE_OPEN_REPARSE_POINT`, so a symbolic link or a junction is opened itself, and is then refused. Other
//! handles may read, write, rename and remove everything that is open here.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ADD_FILE, FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY,
    FILE_READ_ATTRIBUTES, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_TRAVERSE, READ_CONTROL,
};

use super::attributes::Attributes;
use super::file_identity::FileIdentity;
use super::file_name::FileName;
use super::lock::{Attempt, DirectoryLock, Lockable, Mode, lock_until};
use super::nt::{Kind, Open, of_path};
use super::rename::{self, Replace};
use super::{errors, list};

pub use super::entry_kind::{EntryKind, not_regular};

/// The rights of the handle of a directory.
const DIRECTORY_ACCESS: u32 = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | READ_CONTROL;

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    handle: OwnedHandle,
    lock: DirectoryLock,
}

/// While this lives, no process can rename or remove the directory.
#[derive(Debug)]
#[must_use = "the directory can be renamed when this is dropped"]
pub(super) struct Pinned {
    _handle: OwnedHandle,
}

impl Directory {
    /// Opens a directory by its path, which the user chose and may contain links.
    ///
    /// # Errors
    /// If it is missing, is not a directory, or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Directory> {
        let mut options = OpenOptions::new();
        options.access_mode(DIRECTORY_ACCESS).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
        let handle = OwnedHandle::from(options.open(path).map_err(of_path)?);
        match Attributes::of(&handle)?.kind() {
            EntryKind::Directory => Ok(Directory::from(handle)),
            EntryKind::File | EntryKind::Other => Err(errors::not_a_directory()),
        }
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// If it is missing, is a link or not a directory, or cannot be opened.
    pub fn open_directory(&self, name: &OsStr) -> io::Result<Directory> {
        let handle = Open::existing(Kind::Directory, DIRECTORY_ACCESS).at(self, &FileName::new(name)?)?;
        Ok(Directory::from(unless_link(handle)?))
    }

    /// Opens the directory of a handle again, with a position of its own.
    pub(super) fn of_handle(handle: impl AsHandle) -> io::Result<Directory> {
        Ok(Directory::from(Open::existing(Kind::Directory, DIRECTORY_ACCESS).again(handle)?))
    }

    /// Makes a second handle of the same open directory. Both share one lock.
    ///
    /// # Errors
    /// If this process has no handle left.
    pub fn try_clone(&self) -> io::Result<Directory> {
        Ok(Directory { handle: self.handle.try_clone()?, lock: self.lock.clone() })
    }

    /// Creates a directory in this one that no other user can use. Returns whether it is new.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn make_directory(&self, name: &str) -> io::Result<bool> {
        match Open::existing(Kind::Directory, FILE_READ_ATTRIBUTES).create(self, &FileName::new(name)?) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a new file that no other user can use, for reading and writing.
    ///
    /// # Errors
    /// If it already exists or cannot be created.
    pub fn create(&self, name: &str) -> io::Result<File> {
        self.create_file(name.as_ref())
    }

    pub(super) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        let open = Open::existing(Kind::NotDirectory, FILE_GENERIC_READ | FILE_GENERIC_WRITE);
        Ok(open.create(self, &FileName::new(name)?)?.into())
    }

    /// Opens a regular file for writing, and creates it, usable by no other user, if it is missing.
    ///
    /// # Errors
    /// If it is a link or a directory, or cannot be opened.
    pub fn open_or_create(&self, name: &str) -> io::Result<File> {
        let open = Open::existing(Kind::NotDirectory, FILE_GENERIC_WRITE | FILE_READ_ATTRIBUTES);
        Ok(unless_link(open.or_create(self, &FileName::new(name)?)?)?.into())
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// If it is missing, a link or a directory, or cannot be opened.
    pub fn open_to_read(&self, name: &str) -> io::Result<File> {
        self.open_file(name.as_ref(), Kind::NotDirectory, FILE_GENERIC_READ)
    }

    /// Opens a regular file for reading and writing.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`].
    pub fn open_to_update(&self, name: &str) -> io::Result<File> {
        self.open_file(name.as_ref(), Kind::NotDirectory, FILE_GENERIC_READ | FILE_GENERIC_WRITE)
    }

    /// Opens a file or a directory for reading. Check its type before you read it.
    ///
    /// # Errors
    /// If it is missing or a link, or cannot be opened.
    pub fn open_any(&self, name: &OsStr) -> io::Result<File> {
        self.open_file(name, Kind::Any, FILE_GENERIC_READ)
    }

    fn open_file(&self, name: &OsStr, kind: Kind, access: u32) -> io::Result<File> {
        Ok(unless_link(Open::existing(kind, access).at(self, &FileName::new(name)?)?)?.into())
    }

    /// Opens an entry of any type only to ask about it. Does not follow links.
    pub(super) fn inspect(&self, name: &OsStr) -> io::Result<OwnedHandle> {
        Open::existing(Kind::Any, FILE_READ_ATTRIBUTES).at(self, &FileName::new(name)?)
    }

    /// Returns the type of an entry. Does not follow links.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing.
    pub fn kind_of(&self, name: &str) -> io::Result<EntryKind> {
        Ok(Attributes::of(self.inspect(name.as_ref())?)?.kind())
    }

    /// Returns the identity of this directory.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn identity(&self) -> io::Result<FileIdentity> {
        FileIdentity::of(&self.handle)
    }

    /// Returns the identity of an entry. Does not follow links.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing.
    pub fn identity_of(&self, name: &str) -> io::Result<FileIdentity> {
        FileIdentity::of(self.inspect(name.as_ref())?)
    }

    /// Returns the names of all entries, in no particular order, and their types. Skips names that are not valid UTF-16:
    /// homing creates only valid names.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<(String, Option<EntryKind>)>> {
        // A handle of its own, because each handle has one position in the list.
        let again = Open::existing(Kind::Directory, FILE_LIST_DIRECTORY).again(self)?;
        let entries = list::entries(&again)?;
        Ok(entries.into_iter().map(|(name, attributes)| (name, Some(attributes.kind()))).collect())
    }

    /// Removes a file, or a link to anything. A file that is open elsewhere loses its name at once, if the file system
    /// supports it (NTFS does), and otherwise when it is closed.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing. If it is a directory, or another process does not share it.
    pub fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        rename::remove(self.as_handle(), &FileName::new(name)?, Kind::NotDirectory)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is missing. If it is not empty or cannot be removed.
    pub fn remove_directory(&self, name: &str) -> io::Result<()> {
        rename::remove(self.as_handle(), &FileName::new(name)?, Kind::Directory)
    }

    /// Renames an entry, and moves it to another directory of the same file system if `to` is one. Replaces a file of
    /// the new name in one step, also if it is open.
    ///
    /// # Errors
    /// If the entry is missing or cannot be moved. A directory in which a file is open cannot be moved.
    pub fn rename(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<()> {
        rename::rename(
            self.as_handle(),
            &FileName::new(name)?,
            to.as_handle(),
            &FileName::new(new_name)?,
            Replace::Files,
        )
    }

    /// As [`Directory::rename`], but replaces nothing. Returns whether the new name was free.
    ///
    /// # Errors
    /// As [`Directory::rename`].
    pub fn rename_without_replacing(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<bool> {
        match rename::rename(
            self.as_handle(),
            &FileName::new(name)?,
            to.as_handle(),
            &FileName::new(new_name)?,
            Replace::Nothing,
        ) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves a directory to `new_name` in another one, unless a directory of that name exists that is not empty.
    /// Returns whether it was moved.
    ///
    /// # Errors
    /// As [`Directory::rename`].
    pub fn rename_directory(&self, name: &str, to: &Directory, new_name: &str) -> io::Result<bool> {
        if self.rename_without_replacing(name, to, new_name)? {
            return Ok(true);
        }
        // Windows never replaces a directory. If another process creates one between the two steps, that one is kept.
        match to.remove_directory(new_name) {
            Ok(()) => self.rename_without_replacing(name, to, new_name),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.rename_without_replacing(name, to, new_name)
            }
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Exchanges two entries in one step, which Windows does not support.
    ///
    /// # Errors
    /// Always [`io::ErrorKind::Unsupported`].
    pub fn exchange(&self, _name: &str, _with: &Directory, _other: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Windows cannot exchange two files in one step"))
    }

    /// Keeps this directory where it is.
    ///
    /// # Errors
    /// If it was removed, or another handle may rename it.
    pub(super) fn pin(&self) -> io::Result<Pinned> {
        let share = FILE_SHARE_READ | FILE_SHARE_WRITE;
        // Only handles that read or write count for sharing.
        let open = Open { access: FILE_LIST_DIRECTORY, share, kind: Kind::Directory };
        Ok(Pinned { _handle: open.again(self)? })
    }

    /// Makes its entries durable (FlushFileBuffers). NTFS writes changes of directories to its log in order. A file system
    /// that cannot sync a directory, or a directory that this user cannot change, is not an error.
    ///
    /// # Errors
    /// If the sync fails.
    pub fn sync(&self) -> io::Result<()> {
        let synced = Open::existing(Kind::Directory, FILE_ADD_FILE)
            .again(self)
            .and_then(|handle| File::from(handle).sync_all());
        match synced {
            Err(error) if errors::is_access_denied(&error) || errors::is_unsupported(&error) => Ok(()),
            synced => synced,
        }
    }
}

impl From<OwnedHandle> for Directory {
    fn from(handle: OwnedHandle) -> Directory {
        Directory { handle, lock: DirectoryLock::default() }
    }
}

impl AsHandle for Directory {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

fn unless_link(handle: OwnedHandle) -> io::Result<OwnedHandle> {
    if Attributes::of(&handle)?.is_link() { Err(errors::link()) } else { Ok(handle) }
}

impl Lockable for Directory {
    fn try_lock(&self, mode: Mode) -> io::Result<Attempt> {
        self.lock.try_lock(self.identity()?, mode)
    }

    fn wait_and_lock(&self, mode: Mode) -> io::Result<()> {
        lock_until(|| self.try_lock(mode), None).map(drop)
    }

    fn release(&self) {
        self.lock.release();
    }
}
