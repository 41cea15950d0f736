//! Change notification: reports what happens to watched files and directories, without polling (`EVFILT_VNODE`, kqueue(2)).
//!
//! The kernel reports that a directory has changed, and no names. `watched_file.rs` finds
//! them. It reports writes, and does not report that a file is closed: [`ChangeKinds::CLOSED`] reports writes instead, and
//! [`ChangeWatcher::watch_writer`] the end of the process that has the file open.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ProcessIdentity;
use super::errors;
use super::file::FileIdentity;
use super::kqueue::{Event, Filter, Kqueue};
use super::wait_group::settle_all;
use super::watched_file::{Watched, open};

pub use super::change_kinds::ChangeKinds;

/// Describes for people that no watch is left, and names the setting that limits them.
pub const NO_WATCH_LEFT: &str = "no descriptors left to watch files (ulimit -n, kern.maxfiles)";

/// Watches files and directories. It is ready for a wait while events are pending.
#[derive(Debug)]
pub struct ChangeWatcher {
    kqueue: Kqueue,
    watches: Mutex<Watches>,
}

#[derive(Debug, Default)]
struct Watches {
    last: i32,
    files: HashMap<WatchId, Watched>,
    /// The watches that report the end of a process, by its pid.
    writers: HashMap<u32, Vec<WatchId>>,
    /// Watches whose process had ended already.
    ended: Vec<WatchId>,
}

/// One watched file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(i32);

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
    /// Whether the end of a process that has a watched file open is reported only after [`ChangeWatcher::watch_writer`].
    pub const NEEDS_WRITER: bool = true;

    /// Creates a watcher without watches.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn new() -> io::Result<ChangeWatcher> {
        Ok(ChangeWatcher { kqueue: Kqueue::new()?, watches: Mutex::default() })
    }

    /// Starts to watch a file or directory; `None` if it is missing. Follows symbolic links. Does not report earlier
    /// changes: read the file after this call. A second watch of the same file replaces the first and has its id.
    ///
    /// # Errors
    /// If this process has no descriptor left, or may not read the file.
    pub fn watch(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        self.add(path, kinds, true)
    }

    /// As [`ChangeWatcher::watch`], for a path whose last part must not be followed if it is a symbolic link.
    ///
    /// # Errors
    /// As [`ChangeWatcher::watch`].
    pub fn watch_without_links(&self, path: &Path, kinds: ChangeKinds) -> io::Result<Option<WatchId>> {
        self.add(path, kinds, false)
    }

    fn add(&self, path: &Path, kinds: ChangeKinds, follow: bool) -> io::Result<Option<WatchId>> {
        let opened = match open(path, follow) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            opened => opened?,
        };
        let identity = FileIdentity::of(&opened)?;
        let mut watches = self.watches();
        let known = watches.files.iter().find(|(_, file)| file.identity() == identity).map(|(id, _)| *id);
        let id = known.unwrap_or(WatchId(watches.last + 1));
        let file = Watched::start(&self.kqueue, opened, identity, kinds, tag(id))?;
        watches.last = watches.last.max(id.0);
        watches.files.insert(id, file);
        Ok(Some(id))
    }

    /// Also reports a watch, without a name, when this process ends. A process that has ended already is reported at once.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub fn watch_writer(&self, watch: WatchId, writer: &ProcessIdentity) -> io::Result<()> {
        let mut watches = self.watches();
        let has_ended = match self.kqueue.add(Filter::process_end(writer.pid, 0)) {
            Err(error) if errors::is_no_such_process(&error) => true,
            // Check after the watch has begun: the pid may belong to another process.
            added => added.map(|()| !writer.is_alive())?,
        };
        if has_ended {
            watches.ended.push(watch);
            return self.kqueue.make_ready(0);
        }
        watches.writers.entry(writer.pid).or_default().push(watch);
        Ok(())
    }

    /// Stops a watch. Pending events of it are not reported any more.
    pub fn unwatch(&self, watch: WatchId) {
        let mut watches = self.watches();
        // Closing its descriptors removes them from the kqueue.
        watches.files.remove(&watch);
        watches.ended.retain(|ended| *ended != watch);
        watches.writers.retain(|pid, of| {
            of.retain(|other| *other != watch);
            if of.is_empty() {
                self.kqueue.remove(Filter::process_end(*pid, 0));
            }
            !of.is_empty()
        });
        drop(watches);
        settle_all();
    }

    /// Calls `handle` for each pending event. Does not wait.
    pub fn for_each_event(&self, mut handle: impl FnMut(ChangeEvent<'_>)) {
        // Not while the watches are locked: the caller may add or remove some.
        for (watch, name) in self.take_changes() {
            handle(ChangeEvent::Changed { watch, name: name.as_deref() });
        }
        settle_all();
    }

    /// The pending changes, each once.
    fn take_changes(&self) -> Vec<(WatchId, Option<OsString>)> {
        let mut watches = self.watches();
        let mut changes = Vec::new();
        loop {
            // Read the directories after the events: a later change is reported again.
            let events = self.kqueue.next_events();
            if events.is_empty() {
                break;
            }
            for event in events {
                watches.add_changes(&self.kqueue, event, &mut changes);
            }
        }
        changes.extend(watches.ended.drain(..).map(|watch| (watch, None)));
        changes.sort_unstable();
        changes.dedup();
        changes
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    fn add_changes(&mut self, kqueue: &Kqueue, event: Event, changes: &mut Vec<(WatchId, Option<OsString>)>) {
        match event.filter {
            libc::EVFILT_PROC => {
                let writer = u32::try_from(event.ident).ok().and_then(|pid| self.writers.remove(&pid));
                changes.extend(writer.into_iter().flatten().map(|watch| (watch, None)));
            }
            libc::EVFILT_VNODE => {
                let id = i32::try_from(event.tag).map(WatchId).ok();
                let file = id.and_then(|id| Some((id, self.files.get_mut(&id)?)));
                if let Some((id, file)) = file {
                    changes.extend(file.changes(kqueue, event).into_iter().map(|name| (id, name)));
                }
            }
            _ => {}
        }
    }
}

fn tag(id: WatchId) -> usize {
    id.0.unsigned_abs() as usize
}

impl AsFd for ChangeWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}
