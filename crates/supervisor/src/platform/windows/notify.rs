//! Change notification: reports what happens to watched files and directories, without polling
//! (ReadDirectoryChangesW).
//!
//! Windows reports changes of the entries of a directory. A watch of a file is one of its directory that lets only its
//! name pass, in any case, as file names of Windows are compared. Events carry the name that the file was opened by. That
//! is never a short one (8.3, `CONFIG~1.TOM`): homing opens files by their long names.
//!
//! NTFS reports that a file was written when it updates the entry in the directory: at the latest when the file is closed
//! or flushed, and perhaps not before. So a program that keeps a file open must flush it after a write that others wait
//! for ([`sync`](super::file::sync)), and one that only creates a file must write something to it
//! ([`announce_write`](super::file::announce_write)): the creation itself does not count as a write. Nothing reports that
//! a file was closed without a write, so the death of a writer must be watched too ([`ChangeWatcher::watch_writer`]).

mod changes;
mod directory;
mod kinds;
mod reader;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::ERROR_DELETE_PENDING;

use super::ProcessIdentity;
use super::errors;
use super::registered_wait::RegisteredWait;
use super::wait::{AsWaitSource, WaitSource};

pub use self::kinds::{ChangeKinds, WatchId};

use changes::{Change, Changes};
use directory::{Part, Scope};
use reader::Reader;

/// Describes for people that no watch is left.
pub const NO_WATCH_LEFT: &str = "the system has no memory left for watches";

/// Watches files and directories. It is ready for a wait while events are pending. One thread reads the changes of all
/// its watches, because Windows keeps only a few kilobytes of them.
#[derive(Debug)]
pub struct ChangeWatcher {
    reader: Reader,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    last: u64,
    by_id: HashMap<WatchId, Watch>,
}

#[derive(Debug)]
struct Watch {
    path: PathBuf,
    /// The directories that are read for it.
    keys: Vec<usize>,
    /// Dropped with the watch: then the end of the process is not reported.
    writer: Option<RegisteredWait>,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeEvent<'a> {
    /// Something changed.
    Changed {
        /// The watch that reports it. It may have been removed meanwhile.
        watch: WatchId,
        /// The name in the watched directory; `None` if the watched file or directory itself changed.
        name: Option<&'a OsStr>,
    },
    /// Events were lost: anything may have changed.
    Overflow,
}

impl ChangeWatcher {
    /// Whether the death of a process that has a file open is reported only by [`ChangeWatcher::watch_writer`].
    pub const NEEDS_WRITER: bool = true;

    /// Creates a watcher without watches.
    ///
    /// # Errors
    /// If the system has no memory left, or starts no thread.
    pub fn new() -> io::Result<ChangeWatcher> {
        Ok(ChangeWatcher { reader: Reader::start()?, watches: Mutex::default() })
    }

    /// Starts to watch a file or directory; `None` if it is missing. Follows symbolic links. Does not report earlier
    /// changes: read the file after this call. A second watch of the same file replaces the first and has its id.
    ///
    /// A watched directory can be renamed and removed. That ends the watch, and is reported.
    ///
    /// # Errors
    /// If this process may not read the directory, or the system has no memory left.
    pub fn watch(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        unless_missing(fs::canonicalize(path).and_then(|target| {
            let is_directory = fs::metadata(&target)?.is_dir();
            self.add(target, is_directory, kinds)
        }))
    }

    /// As [`ChangeWatcher::watch`], for a path whose last part must not be followed if it is a symbolic link.
    ///
    /// # Errors
    /// As [`ChangeWatcher::watch`].
    pub fn watch_without_links(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        let Some(name) = path.file_name() else { return self.watch(path, kinds) };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        unless_missing(fs::canonicalize(folder.unwrap_or(Path::new("."))).and_then(|folder| {
            let target = folder.join(name);
            let is_directory = fs::symlink_metadata(&target)?.is_dir();
            self.add(target, is_directory, kinds)
        }))
    }

    fn add(&self, path: PathBuf, is_directory: bool, kinds: ChangeKinds) -> io::Result<WatchId> {
        let mut watches = self.watches();
        let known = watches.by_id.iter().find(|(_, watch)| watch.path == path).map(|(id, _)| *id);
        let id = known.unwrap_or(WatchId(watches.last + 1));
        let mut keys = Vec::new();
        for (directory, part) in parts(&path, is_directory, kinds) {
            let scope = Scope { watch: id, kinds, part };
            match self.reader.add(directory, scope) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    keys.into_iter().for_each(|key| self.reader.remove(key));
                    return Err(error);
                }
            }
        }
        watches.last = watches.last.max(id.0);
        if let Some(before) = watches.by_id.insert(id, Watch { path, keys, writer: None }) {
            before.keys.into_iter().for_each(|key| self.reader.remove(key));
        }
        Ok(id)
    }

    /// Also reports `watch`, without a name, when this process ends: at once if it has ended already. A watch has one
    /// writer.
    ///
    /// # Errors
    /// If this process may not wait for the other one, or the system has no memory left.
    pub fn watch_writer(&self, watch: WatchId, writer: &ProcessIdentity) -> io::Result<()> {
        let changes = self.reader.changes();
        let process = match writer.open() {
            Ok(process) => process,
            Err(error) if errors::is_no_such_process(&error) => {
                changes.add(Change::Changed { watch, name: None });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let report = {
            let changes = Changes::clone(changes);
            move || changes.add(Change::Changed { watch, name: None })
        };
        let waiting = RegisteredWait::new(process.as_handle(), report)?;
        if let Some(watch) = self.watches().by_id.get_mut(&watch) {
            watch.writer = Some(waiting);
        }
        Ok(())
    }

    /// Stops a watch. Pending events of it are still reported.
    pub fn unwatch(&self, watch: WatchId) {
        if let Some(watch) = self.watches().by_id.remove(&watch) {
            watch.keys.into_iter().for_each(|key| self.reader.remove(key));
        }
    }

    /// Calls `handle` for each pending event. Does not wait.
    pub fn for_each_event(&self, mut handle: impl FnMut(ChangeEvent<'_>)) {
        for change in self.reader.changes().take() {
            handle(match &change {
                Change::Changed { watch, name } => {
                    ChangeEvent::Changed { watch: *watch, name: name.as_deref() }
                }
                Change::Overflow => ChangeEvent::Overflow,
            });
        }
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The directories to read for a watch, and what of each concerns it.
fn parts(path: &Path, is_directory: bool, kinds: ChangeKinds) -> Vec<(&Path, Part)> {
    let mut parts = Vec::new();
    if is_directory {
        parts.push((path, Part::Entries));
    }
    // Only the directory above tells that this one was renamed. A drive has none.
    if (!is_directory || kinds.intersects(ChangeKinds::MOVED | ChangeKinds::REMOVED))
        && let (Some(folder), Some(name)) = (path.parent(), path.file_name())
    {
        let name = directory::folded(name);
        parts.push((folder, if is_directory { Part::Directory(name) } else { Part::File(name) }));
    }
    parts
}

fn unless_missing(watched: io::Result<WatchId>) -> io::Result<Option<WatchId>> {
    let is_missing = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            || error.raw_os_error() == Some(ERROR_DELETE_PENDING.cast_signed())
    };
    match watched {
        Ok(watch) => Ok(Some(watch)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

impl AsWaitSource for ChangeWatcher {
    fn as_wait_source(&self) -> WaitSource<'_> {
        self.reader.changes().as_wait_source()
    }
}
