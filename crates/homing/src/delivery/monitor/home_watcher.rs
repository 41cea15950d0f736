//! Watches a home through inotify: an inbox entry appears, or a supervisor closes its record because its job finished
//! or because it was killed. Does not poll, and does not use process ids.

use std::collections::HashMap;
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use homing_core::JobId;
use homing_supervisor::layout::{INBOX, JOBS, LEDGER, RECORD};
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::store::home::Home;

/// Watches a home.
pub(super) struct HomeWatcher {
    inotify: OwnedFd,
    root: i32,
    inbox: i32,
    /// The folder of the configuration, and its file name.
    config: Option<(i32, OsString)>,
    watches: HashMap<i32, JobId>,
    jobs: HashMap<JobId, i32>,
}

/// What changed in a home.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Jobs with a new inbox entry or a closed record. Another process may have imported them already and removed the
    /// inbox entry.
    pub(super) jobs: Vec<JobId>,
    /// The configuration was written.
    pub(super) configured: bool,
    /// Everything must be scanned: the kernel's event queue overflowed, the ledger was replaced, or the home itself
    /// was moved.
    pub(super) everything: bool,
}

impl HomeWatcher {
    /// Watches the inbox of a home, and the user's configuration if the home uses it.
    ///
    /// # Errors
    /// When the user has no inotify instance or watch left (inotify(7), `fs.inotify.max_user_instances`).
    pub(super) fn of(home: &Home, config: Option<&Path>) -> Result<HomeWatcher, Errno> {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let root_flags =
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
        let root = inotify::add_watch(&inotify, home.root.path(), root_flags)?;
        let inbox = inotify::add_watch(&inotify, home.root.path().join(INBOX), WatchFlags::CLOSE_WRITE)?;
        // Watch its folder, because editors replace the file. A folder that is created later is not noticed.
        // A device such as /dev/null is never edited, but written to all the time.
        let may_be_edited = |path: &&Path| std::fs::metadata(path).map_or(true, |file| file.is_file());
        let config = config.filter(may_be_edited).and_then(|path| {
            let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
            Some((inotify::add_watch(&inotify, path.parent()?, flags).ok()?, path.file_name()?.to_owned()))
        });
        Ok(HomeWatcher { inotify, root, inbox, config, watches: HashMap::new(), jobs: HashMap::new() })
    }

    /// Watches an unfinished job. Does not report earlier changes: check the job again after this call.
    ///
    /// # Errors
    /// When the user has no watch left (`fs.inotify.max_user_watches`).
    pub(super) fn watch(&mut self, home: &Home, job: JobId) -> Result<(), Errno> {
        if self.jobs.contains_key(&job) {
            return Ok(());
        }
        let path = home.root.path().join(JOBS).join(job.as_str()).join(RECORD);
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF;
        match inotify::add_watch(&self.inotify, path, flags) {
            Ok(watch) => {
                self.watches.insert(watch, job);
                self.jobs.insert(job, watch);
                Ok(())
            }
            // The record is gone already. The caller's check finds out.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether a job is watched.
    pub(super) fn watches(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Stops watching a job.
    pub(super) fn forget(&mut self, job: JobId) {
        if let Some(watch) = self.jobs.remove(&job) {
            self.watches.remove(&watch);
            // The kernel removed the watch already if the file is gone.
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
    }

    /// The changes since the last call.
    pub(super) fn take(&self) -> Changes {
        let mut changes = Changes::default();
        let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            changes.everything |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            if event.wd() == self.root {
                // Events of the home itself have no name: it was renamed or removed.
                changes.everything |=
                    event.file_name().is_none_or(|made| made.to_bytes() == LEDGER.as_bytes());
                continue;
            }
            if let Some((folder, name)) = &self.config
                && event.wd() == *folder
            {
                changes.configured |=
                    event.file_name().is_some_and(|written| written.to_bytes() == name.as_bytes());
                continue;
            }
            let job = if event.wd() == self.inbox {
                event.file_name().and_then(|name| name.to_str().ok()?.parse().ok())
            } else {
                self.watches.get(&event.wd()).copied()
            };
            changes.jobs.extend(job);
        }
        changes
    }
}

impl AsFd for HomeWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
