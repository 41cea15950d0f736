//! [`Directory`] opens the files of a home safely: relative to an open directory, never through a
//! symbolic link, and never accessible to other users.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use homing_core::JobId;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::disk::error::DiskError;

const DIRECTORY_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const SAFE: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
/// A planted FIFO must not block open(2). The flags have no effect on regular files.
const NEVER_BLOCKS: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// First and longest pause between two attempts to lock.
const LOCK_PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(20));

/// An open directory of the home.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory by its path, which the user chose and may contain symbolic links.
    ///
    /// # Errors
    /// If it is missing, is not a directory, or cannot be opened.
    pub fn open(path: &Path) -> Result<Directory, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| DiskError::new("open", path, e))?;
        Ok(Directory { fd, path: path.to_owned() })
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// If it is missing, is a symbolic link or not a directory, or cannot be opened.
    pub fn open_directory(&self, name: impl AsRef<OsStr>) -> Result<Directory, DiskError> {
        let path = self.path.join(name.as_ref());
        let fd = openat(&self.fd, name.as_ref(), OFlags::RDONLY | OFlags::DIRECTORY | SAFE, Mode::empty())
            .map_err(|e| DiskError::new("open", &path, e))?;
        Ok(Directory { fd, path })
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
        match mkdirat(&self.fd, name, DIRECTORY_MODE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(self.error("make", name, error)),
        }
    }

    /// Creates a new file, mode 0600, for reading and writing.
    ///
    /// # Errors
    /// If it already exists or cannot be created.
    pub fn create(&self, name: &str) -> Result<OwnedFd, DiskError> {
        openat(&self.fd, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFE, FILE_MODE)
            .map_err(|e| self.error("create", name, e))
    }

    /// Opens a regular file for writing, and creates it if it is missing. Never blocks.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_or_create(&self, name: &str) -> Result<OwnedFd, DiskError> {
        match openat(&self.fd, name, OFlags::WRONLY | OFlags::CREATE | NEVER_BLOCKS | SAFE, FILE_MODE) {
            Ok(file) => self.regular(file, name),
            // A FIFO without a reader, or a socket (open(2)).
            Err(Errno::NXIO) => Err(self.error("open", name, not_regular())),
            Err(error) => Err(self.error("open", name, error)),
        }
    }

    /// Opens a regular file for reading; `None` if it is missing.
    ///
    /// # Errors
    /// If it is a symbolic link or any other non-regular file, or cannot be opened.
    pub fn open_to_read(&self, name: &str) -> Result<Option<OwnedFd>, DiskError> {
        self.open_existing(name, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing; `None` if it is missing.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`].
    pub fn open_to_update(&self, name: &str) -> Result<Option<OwnedFd>, DiskError> {
        self.open_existing(name, OFlags::RDWR)
    }

    fn open_existing(&self, name: &str, access: OFlags) -> Result<Option<OwnedFd>, DiskError> {
        match openat(&self.fd, name, access | NEVER_BLOCKS | SAFE, Mode::empty()) {
            Ok(file) => self.regular(file, name).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NXIO) => Err(self.error("open", name, not_regular())),
            Err(error) => Err(self.error("open", name, error)),
        }
    }

    /// Returns the file if it is regular.
    fn regular(&self, file: OwnedFd, name: &str) -> Result<OwnedFd, DiskError> {
        let status = fstat(&file).map_err(|e| self.error("inspect", name, e))?;
        match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => Ok(file),
            _ => Err(self.error("open", name, not_regular())),
        }
    }

    /// Reads a whole regular file of at most `limit` bytes; `None` if it is missing.
    ///
    /// # Errors
    /// As [`Directory::open_to_read`], and if the file is longer than `limit`.
    pub fn read_bounded(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let Some(file) = self.open_to_read(name)? else { return Ok(None) };
        read_bounded(file.into(), limit).map(Some).map_err(|error| self.error("read", name, error))
    }

    /// Locks an open file of this directory. Waits at most `limit` for another process to release it.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] with the path if another process holds the lock for longer.
    pub fn lock_within(&self, file: impl AsFd, name: &str, limit: Duration) -> Result<(), DiskError> {
        lock_within(file, limit).map_err(|error| self.error("lock", name, error))
    }

    /// Whether an entry with this name exists.
    pub fn contains(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether it is certain that no entry with this name exists. Returns false on errors.
    pub fn lacks(&self, name: &str) -> bool {
        matches!(rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
    }

    /// Whether `name` in `parent` is still this directory: it was not moved, replaced or removed.
    pub fn is_at(&self, parent: &Directory, name: &str) -> bool {
        match (rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW), fstat(&self.fd)) {
            (Ok(there), Ok(this)) => (there.st_dev, there.st_ino) == (this.st_dev, this.st_ino),
            _ => false,
        }
    }

    /// Removes a file. A missing file is not an error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), DiskError> {
        match unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(DiskError::new("remove", self.path.join(name.as_ref()), error)),
        }
    }

    /// Removes an empty directory. A missing directory is not an error.
    ///
    /// # Errors
    /// If it cannot be removed or is not empty.
    pub fn remove_directory(&self, name: &str) -> Result<(), DiskError> {
        match unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.error("remove", name, error)),
        }
    }

    /// Returns the names of all entries, in no particular order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, DiskError> {
        self.names_where(|_, _| true)
    }

    fn names_where(&self, wanted: impl Fn(&str, FileType) -> bool) -> Result<Vec<String>, DiskError> {
        let failed = |error: Errno| DiskError::new("read", &self.path, error);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // homing creates only UTF-8 names.
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
                && wanted(name, entry.file_type())
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Returns the names of the regular files in it, in no particular order. Ignores all other entries.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file_names(&self) -> Result<Vec<String>, DiskError> {
        self.names_where(|name, kind| match kind {
            // Not every file system reports the type (readdir(3)).
            FileType::Unknown => self.is_regular_file(name),
            kind => kind == FileType::RegularFile,
        })
    }

    /// Whether a regular file with this name exists. Does not follow symbolic links.
    pub fn is_regular_file(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile)
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
        rustix::fs::fsync(&self.fd).map_err(|e| DiskError::new("sync", &self.path, e))
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

    /// Creates an error about an entry of this directory.
    pub fn error(&self, action: &'static str, name: &str, source: impl Into<io::Error>) -> DiskError {
        DiskError::new(action, self.path.join(name), source)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Locks a file and waits at most `limit`. flock(2) itself has no timeout.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] if another process holds the lock for longer.
fn lock_within(file: impl AsFd, limit: Duration) -> io::Result<()> {
    let give_up_at = Instant::now() + limit;
    let mut pause = LOCK_PAUSES.0;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if Instant::now() >= give_up_at => {
                let message = format!("another process holds the lock; waited {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(Errno::WOULDBLOCK) => std::thread::sleep(pause),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        pause = (pause * 2).min(LOCK_PAUSES.1);
    }
}

/// Reads a whole file of at most `limit` bytes. A file with a larger size is not read at all, even if it is sparse.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if it is longer.
pub fn read_bounded(file: std::fs::File, limit: u64) -> io::Result<Vec<u8>> {
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

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
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
