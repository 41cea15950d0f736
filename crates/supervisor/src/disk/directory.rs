//! [`Directory`] opens the files of a home safely: relative to an open directory, never through a symbolic link, and
//! never accessible to other users. Its errors name the path.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::JobId;

use crate::disk::error::DiskError;
use crate::platform::dir::{self, EntryKind, not_regular};
use crate::platform::file::FileIdentity;
use crate::platform::lock;

/// An open directory of the home.
#[derive(Debug)]
pub struct Directory {
    handle: dir::Directory,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory by its path, which the user chose and may contain symbolic links.
    ///
    /// # Errors
    /// If it is missing, is not a directory, or cannot be opened.
    pub fn open(path: &Path) -> Result<Directory, DiskError> {
        let handle = dir::Directory::open(path).map_err(|e| DiskError::new("open", path, e))?;
        Ok(Directory { handle, path: path.to_owned() })
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// If it is missing, is a symbolic link or not a directory, or cannot be opened.
    pub fn open_directory(&self, name: impl AsRef<OsStr>) -> Result<Directory, DiskError> {
        let path = self.path.join(name.as_ref());
        let opened = self.handle.open_directory(name.as_ref());
        Ok(Directory { handle: opened.map_err(|e| DiskError::new("open", &path, e))?, path })
    }

    /// As [`Directory::open_directory`]; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Directory::open_directory`], except if it is missing.
    pub fn find_directory(&self, name: impl AsRef<OsStr>) -> Result<Option<Directory>, DiskError> {
        match self.open_directory(name) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the directory of one job. `self` must be the directory of all jobs.
    ///
    /// # Errors
    /// As [`Directory::open_directory`].
    pub fn open_job(&self, id: JobId) -> Result<Directory, DiskError> {
        self.open_directory(id.as_str())
    }

    /// Creates a directory in this one, mode 0700. Returns whether it is new.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn make_directory(&self, name: &str) -> Result<bool, DiskError> {
        self.handle.make_directory(name).map_err(|e| self.error("make", name, e))
    }

    /// Creates a new file, mode 0600, for reading and writing.
    ///
    /// # Errors
    /// If it already exists or cannot be created.
    pub fn create(&self, name: &str) -> Result<File, DiskError> {
        self.handle.create(name).map_err(|e| self.error("create", name, e))
    }

    /// Opens a regular file for writing, and creates it if it is missing. Never blocks.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_or_create(&self, name: &str) -> Result<File, DiskError> {
        self.handle.open_or_create(name).map_err(|e| self.error("open", name, e))
    }

    /// Opens a regular file for reading; `None` if it is missing.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_to_read(&self, name: &str) -> Result<Option<File>, DiskError> {
        unless_missing(self.handle.open_to_read(name)).map_err(|e| self.error("open", name, e))
    }

    /// Opens a regular file for reading and writing; `None` if it is missing.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`].
    pub fn open_to_update(&self, name: &str) -> Result<Option<File>, DiskError> {
        unless_missing(self.handle.open_to_update(name)).map_err(|e| self.error("open", name, e))
    }

    /// Reads a whole regular file of at most `limit` bytes; `None` if it is missing.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`], and if the file is longer than `limit`.
    pub fn read_bounded(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let Some(file) = self.open_to_read(name)? else { return Ok(None) };
        read_bounded(file, limit).map(Some).map_err(|error| self.error("read", name, error))
    }

    /// Locks an open file of this directory. Waits at most `limit` for another process to release it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] with the path if another process holds the lock for longer.
    pub fn lock_within(&self, file: &File, name: &str, limit: Duration) -> Result<(), DiskError> {
        lock::exclusive_within(file, limit).map_err(|error| self.error("lock", name, error))
    }

    /// Locks this directory itself while it is open. Waits at most `limit` for another process to release it.
    ///
    /// # Errors
    /// As [`Directory::lock_within`].
    pub fn lock_self_within(&self, limit: Duration) -> Result<(), DiskError> {
        lock::exclusive_within(&self.handle, limit).map_err(|e| DiskError::new("lock", &self.path, e))
    }

    /// Whether an entry with this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.handle.kind_of(name).is_ok()
    }

    /// Whether it is certain that no entry with this name exists. Returns false on errors.
    pub fn lacks(&self, name: &str) -> bool {
        self.handle.kind_of(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether `name` in `parent` is still this directory: it was not moved, replaced or removed.
    pub fn is_at(&self, parent: &Directory, name: &str) -> bool {
        match (parent.handle.identity_of(name), self.handle.identity()) {
            (Ok(there), Ok(this)) => there == this,
            _ => false,
        }
    }

    /// Returns its identity; `None` if the file system does not answer.
    pub fn identity(&self) -> Option<FileIdentity> {
        self.handle.identity().ok()
    }

    /// Returns the identity of an entry; `None` if it is missing. Does not follow symbolic links.
    pub fn identity_of(&self, name: &str) -> Option<FileIdentity> {
        self.handle.identity_of(name).ok()
    }

    /// Removes a file. A missing file is not an error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), DiskError> {
        match unless_missing(self.handle.remove_file(name.as_ref())) {
            Ok(_) => Ok(()),
            Err(error) => Err(DiskError::new("remove", self.path.join(name.as_ref()), error)),
        }
    }

    /// Removes an empty directory. A missing directory is not an error.
    ///
    /// # Errors
    /// If it cannot be removed or is not empty.
    pub fn remove_directory(&self, name: &str) -> Result<(), DiskError> {
        match unless_missing(self.handle.remove_directory(name)) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("remove", name, error)),
        }
    }

    /// Returns the names of all entries, in no particular order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.entries()?.into_iter().map(|(name, _)| name).collect())
    }

    /// Returns the names of the regular files in it, in no particular order. Ignores all other entries.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file_names(&self) -> Result<Vec<String>, DiskError> {
        let is_file = |(name, kind): &(String, Option<EntryKind>)| match kind {
            Some(kind) => *kind == EntryKind::File,
            None => self.is_regular_file(name),
        };
        Ok(self.entries()?.into_iter().filter(is_file).map(|(name, _)| name).collect())
    }

    fn entries(&self) -> Result<Vec<(String, Option<EntryKind>)>, DiskError> {
        self.handle.entries().map_err(|error| DiskError::new("read", &self.path, error))
    }

    /// Whether a regular file with this name exists. Does not follow symbolic links.
    pub fn is_regular_file(&self, name: &str) -> bool {
        self.handle.kind_of(name).is_ok_and(|kind| kind == EntryKind::File)
    }

    /// Fails if the entry is not a regular file, without opening it. A missing entry is not an error.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file.
    pub fn check_regular(&self, name: &str) -> Result<(), DiskError> {
        if self.contains(name) && !self.is_regular_file(name) {
            return Err(self.error("open", name, not_regular()));
        }
        Ok(())
    }

    /// Makes its entries durable (fsync(2)).
    ///
    /// # Errors
    /// If the sync fails.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.handle.sync().map_err(|e| DiskError::new("sync", &self.path, e))
    }

    /// Returns this open directory with its new path, after it was moved.
    #[must_use]
    pub fn moved_to(self, parent: &Directory, name: &str) -> Directory {
        Directory { path: parent.path.join(name), ..self }
    }

    /// Returns the path it was opened at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open directory itself, for operations whose errors name no path.
    pub fn handle(&self) -> &dir::Directory {
        &self.handle
    }

    /// Creates an error about an entry of this directory.
    pub fn error(&self, action: &'static str, name: &str, source: impl Into<io::Error>) -> DiskError {
        DiskError::new(action, self.path.join(name), source)
    }
}

/// Turns the error for a missing file into `None`.
fn unless_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a whole file of at most `limit` bytes. A file with a larger size is not read at all, even if it is sparse.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if it is longer.
pub fn read_bounded(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let too_long = || {
        let message = format!("it is longer than {limit} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // The file may grow meanwhile.
    io::Read::read_to_end(&mut io::Read::take(file, limit + 1), &mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_long()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn waiting_for_a_held_lock_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let held = directory.open_or_create("lock").unwrap();
        directory.lock_within(&held, "lock", Duration::ZERO).unwrap();
        let other = directory.open_or_create("lock").unwrap();
        let begun = Instant::now();
        let error = directory.lock_within(&other, "lock", Duration::from_millis(50)).unwrap_err();
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert_eq!(error.source.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains(folder.path().join("lock").to_str().unwrap()), "{error}");
        drop(held);
        directory.lock_within(&other, "lock", Duration::from_secs(60)).unwrap();
    }
}
