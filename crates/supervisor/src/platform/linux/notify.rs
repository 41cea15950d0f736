//! Change notification: reports what happens to watched files and directories, without polling (inotify(7)).

use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::ops::BitOr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::ProcessIdentity;

/// Describes for people that no watch is left, and names the setting that limits them.
pub const NO_WATCH_LEFT: &str = "no inotify watches left (fs.inotify.max_user_watches)";

/// Size of the buffer for events, in bytes. One event has at most 272.
const BUFFER_BYTES: usize = 16 << 10;

/// Watches files and directories. It is ready for a wait while events are pending.
#[derive(Debug)]
pub struct ChangeWatcher {
    inotify: OwnedFd,
}

/// One watched file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(i32);

/// Which changes are reported. Combine them with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeKinds(WatchFlags);

impl ChangeKinds {
    /// The file, or a file in the directory, was written or truncated.
    pub const WRITTEN: ChangeKinds = ChangeKinds(WatchFlags::MODIFY);
    /// The file, or a file in the directory, was open for writing and was closed: also by the death of its process.
    pub const CLOSED: ChangeKinds = ChangeKinds(WatchFlags::CLOSE_WRITE);
    /// Something was created in the directory.
    pub const CREATED: ChangeKinds = ChangeKinds(WatchFlags::CREATE);
    /// Something was renamed into the directory.
    pub const MOVED_IN: ChangeKinds = ChangeKinds(WatchFlags::MOVED_TO);
    /// The watched file or directory itself was renamed.
    pub const MOVED: ChangeKinds = ChangeKinds(WatchFlags::MOVE_SELF);
    /// The watched file or directory itself was removed.
    pub const REMOVED: ChangeKinds = ChangeKinds(WatchFlags::DELETE_SELF);
}

impl BitOr for ChangeKinds {
    type Output = ChangeKinds;

    fn bitor(self, other: ChangeKinds) -> ChangeKinds {
        ChangeKinds(self.0.union(other.0))
    }
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
    /// Whether a file that a dying process closes is reported only after [`ChangeWatcher::watch_writer`].
    pub const NEEDS_WRITER: bool = false;

    /// Creates a watcher without watches.
    ///
    /// # Errors
    /// If the user has no watcher left (`fs.inotify.max_user_instances`), or this process no descriptor.
    pub fn new() -> io::Result<ChangeWatcher> {
        Ok(ChangeWatcher { inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)? })
    }

    /// Starts to watch a file or directory; `None` if it is missing. Follows symbolic links. Does not report earlier
    /// changes: read the file after this call. A second watch of the same file replaces the first and has its id.
    ///
    /// # Errors
    /// If the user has no watch left (`fs.inotify.max_user_watches`), or may not read the file.
    pub fn watch(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        self.add(path, kinds.0)
    }

    /// As [`ChangeWatcher::watch`], for a path whose last part must not be followed if it is a symbolic link.
    ///
    /// # Errors
    /// As [`ChangeWatcher::watch`].
    pub fn watch_without_links(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        self.add(path, kinds.0.union(WatchFlags::DONT_FOLLOW))
    }

    fn add(&self, path: &Path, flags: WatchFlags) -> io::Result<Option<WatchId>> {
        match inotify::add_watch(&self.inotify, path, flags) {
            Ok(watch) => Ok(Some(WatchId(watch))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Also reports this watch, without a name, when the process that writes to its file has ended, at once if it has
    /// already. Does nothing here: the kernel reports the close of the file ([`ChangeKinds::CLOSED`]).
    ///
    /// # Errors
    /// If the system has no watch left.
    pub fn watch_writer(&self, _watch: WatchId, _writer: &ProcessIdentity) -> io::Result<()> {
        Ok(())
    }

    /// Stops a watch. Pending events of it are still reported.
    pub fn unwatch(&self, watch: WatchId) {
        // Fails only if the file is gone, and the watch with it.
        let _ = inotify::remove_watch(&self.inotify, watch.0);
    }

    /// Calls `handle` for each pending event. Does not wait.
    pub fn for_each_event(&self, mut handle: impl FnMut(ChangeEvent<'_>)) {
        let mut buffer = [const { MaybeUninit::uninit() }; BUFFER_BYTES];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                handle(ChangeEvent::Overflow);
                continue;
            }
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            handle(ChangeEvent::Changed { watch: WatchId(event.wd()), name });
        }
    }
}

impl AsFd for ChangeWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
