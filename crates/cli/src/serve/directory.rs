//! The directory of the server in the home: its socket, its tokens and what describes a running server. Mode 0700.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_supervisor::layout;
use homing_supervisor::platform::access::{private_directory, secret};
use homing_supervisor::platform::file::{create_private, make_private_directory, open_regular};
use homing_supervisor::platform::lock;

use crate::exit::Failure;

/// The name of the directory in the home.
const NAME: &str = "serve";

/// How long a change waits for the change of another process.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Creates the directory in a home if it is missing.
    ///
    /// # Errors
    /// When other users can use it, or it cannot be created.
    pub(super) fn open(home: &Path) -> Result<Directory, Failure> {
        let path = home.join(NAME);
        let failed = |error: io::Error| cannot("create", &path, &error);
        make_private_directory(&path).map_err(failed)?;
        let opened = layout::Directory::open(&path).map_err(|error| failed(error.source))?;
        let exposure = match private_directory(opened.handle(), &path).map_err(failed)? {
            Some(exposure) => Some(exposure),
            None => secret(opened.handle(), &path).map_err(failed)?,
        };
        match exposure {
            None => Ok(Directory { path }),
            Some(exposure) => Err(Failure::Refused {
                code: "serve_directory",
                message: format!("cannot use {}: {}", path.display(), exposure.reason),
                hint: Some(format!("check its contents, then run: chmod 700 {}", path.display())),
            }),
        }
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A directory for files of running programs, which has a short path; `None` if the system has none. Mode 0700.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn runtime_directory(&self) -> io::Result<Option<PathBuf>> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|base| base.is_absolute());
        let Some(base) = base else { return Ok(None) };
        let mut hasher = DefaultHasher::new();
        self.path.hash(&mut hasher);
        // The hash keeps homes apart. Clients learn the path from the server.
        let directory = base.join(format!("homing-{:016x}", hasher.finish()));
        make_private_directory(&directory)?;
        Ok(Some(directory))
    }

    /// Opens a lock file and creates it if it is missing.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, Failure> {
        let path = self.file(name);
        let opened = fs::OpenOptions::new().read(true).write(true).open(&path).or_else(|_| {
            create_private(&path).or_else(|_| fs::OpenOptions::new().read(true).write(true).open(&path))
        });
        opened.map_err(|error| cannot("open", &path, &error))
    }

    /// Locks a lock file. The lock is released when the file is closed.
    ///
    /// # Errors
    /// When another process holds the lock for 10 seconds.
    pub(super) fn lock(&self, name: &str) -> Result<File, Failure> {
        let file = self.lock_file(name)?;
        lock::exclusive_within(&file, LOCK_TIMEOUT)
            .map_err(|error| cannot("lock", &self.file(name), &error))?;
        Ok(file)
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    /// When other users can read or change it, it is longer than 1 MiB, or it cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, Failure> {
        let path = self.file(name);
        let failed = |error: io::Error| cannot("read", &path, &error);
        let file = match open_regular(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let not_regular = || failed(io::Error::other("it is not a regular file"));
        let file = file.ok_or_else(not_regular)?;
        if let Some(exposure) = secret(&file, &path).map_err(failed)? {
            return Err(Failure::Refused {
                code: "serve_directory",
                message: format!("cannot use {}: {}", path.display(), exposure.reason),
                hint: Some(exposure.hint),
            });
        }
        let mut text = String::new();
        let read = file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if read as u64 > MAX_BYTES {
            return Err(failed(io::Error::other(format!("it is longer than {MAX_BYTES} bytes"))));
        }
        Ok(Some(text))
    }

    /// Replaces a file in one step, with mode 0600.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn replace(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.file(name);
        let unfinished = self.file(&format!(".{name}.{}", std::process::id()));
        // Left by a process with the same id that was killed.
        let _ = fs::remove_file(&unfinished);
        let written = create_private(&unfinished).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        });
        written.map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            cannot("write", &path, &error)
        })
    }

    /// Removes a file if it exists.
    pub(super) fn remove(&self, name: &str) {
        // A file that is left is replaced by the next server.
        let _ = fs::remove_file(self.file(name));
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Refused {
        code: "serve_directory",
        message: format!("cannot {what} {}: {error}", path.display()),
        hint: None,
    }
}
