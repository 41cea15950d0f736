//! Watches a home for changes: an inbox entry appears, or a supervisor closes its record because its job finished or
//! because it was killed. Does not poll, and does not use process ids.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use homing_core::JobId;
use homing_supervisor::Record;
use homing_supervisor::layout::{INBOX, JOBS, LEDGER, RECORD};
use homing_supervisor::platform::ProcessIdentity;
use homing_supervisor::platform::errors;
use homing_supervisor::platform::notify::{ChangeEvent, ChangeKinds, ChangeWatcher, WatchId};
use homing_supervisor::platform::wait::{AsWaitSource, WaitSource};

use crate::store::home::Home;

/// Watches a home.
pub(super) struct HomeWatcher {
    watcher: ChangeWatcher,
    root: WatchId,
    inbox: WatchId,
    /// The folder of the configuration, and its file name.
    config: Option<(WatchId, OsString)>,
    watches: HashMap<WatchId, JobId>,
    jobs: HashMap<JobId, WatchId>,
}

/// What changed in a home.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Jobs with a new inbox entry or a closed record. Another process may have imported them already and removed the
    /// inbox entry.
    pub(super) jobs: Vec<JobId>,
    /// The configuration was written.
    pub(super) configured: bool,
    /// Everything must be scanned: events were lost, the ledger was replaced, or the home itself was moved.
    pub(super) everything: bool,
}

impl HomeWatcher {
    /// Watches the inbox of a home, and the user's configuration if the home uses it.
    ///
    /// # Errors
    /// If the user has no watcher or watch left.
    pub(super) fn of(home: &Home, config: Option<&Path>) -> io::Result<HomeWatcher> {
        let watcher = ChangeWatcher::new()?;
        let watch = |path: &Path, kinds| watcher.watch(path, kinds)?.ok_or_else(errors::not_found);
        let of_root =
            ChangeKinds::CREATED | ChangeKinds::MOVED_IN | ChangeKinds::MOVED | ChangeKinds::REMOVED;
        let root = watch(home.root.path(), of_root)?;
        let inbox = watch(&home.root.path().join(INBOX), ChangeKinds::CLOSED)?;
        // Watch its folder, because editors replace the file. A folder that is created later is not noticed.
        // A device such as /dev/null is never edited, but written to all the time.
        let may_be_edited = |path: &&Path| std::fs::metadata(path).map_or(true, |file| file.is_file());
        let config = config.filter(may_be_edited).and_then(|path| {
            let folder = watch(path.parent()?, ChangeKinds::CLOSED | ChangeKinds::MOVED_IN).ok()?;
            Some((folder, path.file_name()?.to_owned()))
        });
        Ok(HomeWatcher { watcher, root, inbox, config, watches: HashMap::new(), jobs: HashMap::new() })
    }

    /// Watches an unfinished job. Does not report earlier changes: check the job again after this call.
    ///
    /// # Errors
    /// If the user has no watch left.
    pub(super) fn watch(&mut self, home: &Home, job: JobId) -> io::Result<()> {
        if self.jobs.contains_key(&job) {
            return Ok(());
        }
        let path = home.root.path().join(JOBS).join(job.as_str()).join(RECORD);
        // If the record is gone already, the caller's check finds out.
        if let Some(watch) = self.watcher.watch(&path, ChangeKinds::CLOSED | ChangeKinds::REMOVED)? {
            self.watches.insert(watch, job);
            self.jobs.insert(job, watch);
            if ChangeWatcher::NEEDS_WRITER
                && let Some(supervisor) = supervisor_of(home, job)
            {
                self.watcher.watch_writer(watch, &supervisor)?;
            }
        }
        Ok(())
    }

    /// Whether a job is watched.
    pub(super) fn watches(&self, job: JobId) -> bool {
        self.jobs.contains_key(&job)
    }

    /// Stops watching a job.
    pub(super) fn forget(&mut self, job: JobId) {
        if let Some(watch) = self.jobs.remove(&job) {
            self.watches.remove(&watch);
            self.watcher.unwatch(watch);
        }
    }

    /// The changes since the last call.
    pub(super) fn take(&self) -> Changes {
        let mut changes = Changes::default();
        self.watcher.for_each_event(|event| match event {
            ChangeEvent::Overflow => changes.everything = true,
            // Events of the home itself have no name: it was renamed or removed.
            ChangeEvent::Changed { watch, name } if watch == self.root => {
                changes.everything |= name.is_none_or(|made| made == LEDGER);
            }
            ChangeEvent::Changed { watch, name } => match &self.config {
                Some((folder, file)) if watch == *folder => {
                    changes.configured |= name.is_some_and(|written| written == file);
                }
                Some(_) | None => changes.jobs.extend(self.job_of(watch, name)),
            },
        });
        changes
    }

    /// The job that an event is about.
    fn job_of(&self, watch: WatchId, name: Option<&OsStr>) -> Option<JobId> {
        if watch == self.inbox { name?.to_str()?.parse().ok() } else { self.watches.get(&watch).copied() }
    }

    /// A source that is ready while changes are pending.
    pub(super) fn wait_source(&self) -> WaitSource<'_> {
        self.watcher.as_wait_source()
    }
}

/// The recorded supervisor of a job.
fn supervisor_of(home: &Home, job: JobId) -> Option<ProcessIdentity> {
    let directory = home.jobs.open_job(job).ok()?;
    let content = Record::open_to_read(&directory).ok()??.read().ok()?;
    content.started.into_valid().map(|started| started.supervisor)
}
