//! Reports which jobs may have changed. Only this module asks the system for notifications about job records. Callers
//! observe the jobs themselves, after [`Watcher::changed`].
//!
//! A record is written when its job starts and ends, and closed when its supervisor dies, so one watch reports all
//! three. A timer covers changes that the system does not report: a lock that is released after the record was closed,
//! a supervisor that never starts. See [`safety`]. While a job runs under a supervisor that is alive, no timer is set.

mod safety;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing_core::JobId;
use homing_supervisor::layout::RECORD;
use homing_supervisor::platform::errors;
use homing_supervisor::platform::notifier::Timer;
use homing_supervisor::platform::notify::{ChangeEvent, ChangeKinds, ChangeWatcher, WatchId};
use homing_supervisor::platform::wait::{AsWaitSource, WaitGroup, WaitSource, wait};

use self::safety::SafetyTimer;
use crate::store::home::Home;

/// How often all jobs count as changed if the system has no free watch.
const FALLBACK_PAUSE: Duration = Duration::from_millis(100);

/// Watches any number of jobs of one home.
#[derive(Debug)]
pub(crate) struct Watcher {
    jobs: PathBuf,
    /// `None` if the system has no free watcher.
    sources: Option<Sources>,
    watched: Mutex<Watched>,
}

/// What a watcher waits for. The group represents the two others, so that an event loop waits for one source.
#[derive(Debug)]
struct Sources {
    group: WaitGroup,
    changes: ChangeWatcher,
    timer: Timer,
}

#[derive(Debug, Default)]
struct Watched {
    /// Each job, and its watch if it has one.
    jobs: HashMap<JobId, Option<WatchId>>,
    by_watch: HashMap<WatchId, JobId>,
    safety: SafetyTimer,
    /// Whether the system refused a watch, so that its events are incomplete.
    is_incomplete: bool,
}

impl Watcher {
    /// Watches these jobs of a home. If the system has no free watch, [`Watcher::readable`] returns `None`.
    pub(crate) fn new(home: &Home, ids: &[JobId]) -> Watcher {
        let jobs = home.jobs.path().to_owned();
        let watcher = Watcher { jobs, sources: Sources::open().ok(), watched: Mutex::default() };
        for id in ids {
            watcher.add_if_possible(*id);
        }
        watcher
    }

    /// Creates a watcher without jobs.
    ///
    /// # Errors
    /// If the user has no watcher left (`fs.inotify.max_user_instances`), or this process no descriptor.
    pub(crate) fn try_new(home: &Home) -> io::Result<Watcher> {
        let jobs = home.jobs.path().to_owned();
        Ok(Watcher { jobs, sources: Some(Sources::open()?), watched: Mutex::default() })
    }

    /// Starts to watch a job. Observe the job after this call: earlier changes are not reported.
    ///
    /// # Errors
    /// If the user has no watch left (`fs.inotify.max_user_watches`). A job whose files are missing is not an error.
    pub(crate) fn add(&self, id: JobId) -> io::Result<()> {
        // Keep the lock: an event must find its job.
        let mut watched = self.watched();
        let record = self.jobs.join(id.as_str()).join(RECORD);
        let kinds = ChangeKinds::WRITTEN | ChangeKinds::CLOSED | ChangeKinds::REMOVED;
        let added = self.changes().and_then(|changes| changes.watch_without_links(&record, kinds));
        let watch = added.as_ref().ok().copied().flatten();
        watched.jobs.insert(id, watch);
        if let Some(watch) = watch {
            watched.by_watch.insert(watch, id);
        }
        let writing = self.examine(&mut watched, id);
        self.set_timer(&watched);
        added.and(writing)
    }

    /// As [`Watcher::add`]. If the system has no free watch, [`Watcher::readable`] returns `None`.
    pub(crate) fn add_if_possible(&self, id: JobId) {
        let added = self.add(id);
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also watches the output of a job.
    pub(crate) fn add_output(&self, id: JobId) {
        // Not closed files: a caller that observes the job closes its lock file, and would wake itself up.
        let kinds = ChangeKinds::WRITTEN | ChangeKinds::CREATED;
        let added = self.changes().and_then(|changes| changes.watch(&self.jobs.join(id.as_str()), kinds));
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also watches for new jobs.
    pub(crate) fn add_inbox(&self, home: &Home) {
        let added = self.watch_inbox(home);
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also ends a wait when a file of the home itself is written, such as the ledger. Reports no job then.
    pub(crate) fn add_ledger(&self, home: &Home) {
        let added = self.watch_root(home, ledger_changes());
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also watches for new jobs, for changes of the ledger, and for a home that is moved or removed. None of them is reported
    /// as a changed job.
    ///
    /// # Errors
    /// As [`Watcher::add`].
    pub(crate) fn add_list(&self, home: &Home) -> io::Result<()> {
        self.watch_inbox(home)?;
        self.watch_root(home, ledger_changes() | ChangeKinds::MOVED | ChangeKinds::REMOVED)
    }

    fn watch_inbox(&self, home: &Home) -> io::Result<()> {
        self.changes()?.watch(home.inbox.path(), ChangeKinds::CLOSED).map(drop)
    }

    fn watch_root(&self, home: &Home, kinds: ChangeKinds) -> io::Result<()> {
        self.changes()?.watch(home.root.path(), kinds).map(drop)
    }

    fn changes(&self) -> io::Result<&ChangeWatcher> {
        let sources = self.sources.as_ref().ok_or_else(errors::too_many_open_files)?;
        Ok(&sources.changes)
    }

    /// Stops watching a job.
    pub(crate) fn remove(&self, id: JobId) {
        let mut watched = self.watched();
        if let Some(Some(watch)) = watched.jobs.remove(&id) {
            watched.by_watch.remove(&watch);
            if let Some(sources) = &self.sources {
                sources.changes.unwatch(watch);
            }
        }
        watched.safety.forget(id);
        self.set_timer(&watched);
    }

    /// Whether a job is watched.
    pub(crate) fn watches(&self, id: JobId) -> bool {
        self.watched().jobs.contains_key(&id)
    }

    /// The jobs to observe since the last call, without duplicates. Does not wait. Call it before observing: the next call
    /// reports later changes.
    pub(crate) fn changed(&self) -> Vec<JobId> {
        let mut watched = self.watched();
        let mut changed = watched.safety.take_due();
        match &self.sources {
            Some(sources) if !watched.is_incomplete => sources.add_changed(&watched, &mut changed),
            Some(_) | None => changed.extend(watched.jobs.keys()),
        }
        changed.sort_unstable();
        changed.dedup();
        for id in &changed {
            let is_watched = self.examine(&mut watched, *id).is_ok();
            watched.is_incomplete |= !is_watched;
        }
        self.set_timer(&watched);
        changed
    }

    /// Sets a time ([`uptime`](homing_supervisor::platform::clock::uptime)) at which the watcher becomes readable in any
    /// case. `None` removes it.
    pub(crate) fn set_alarm(&self, at: Option<Duration>) {
        let mut watched = self.watched();
        watched.safety.set_alarm(at);
        self.set_timer(&watched);
    }

    /// Waits until a job may have changed, the timeout expires, or this thread has handled a signal. Call
    /// [`Watcher::changed`] after it.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        self.wait_beside(None, timeout);
    }

    /// As [`Watcher::wait`], and also ends when `other` becomes readable.
    pub(crate) fn wait_beside(&self, other: Option<WaitSource<'_>>, timeout: Option<Duration>) {
        let own = self.readable();
        let timeout = match own {
            Some(_) => timeout,
            None => Some(timeout.unwrap_or(FALLBACK_PAUSE).min(FALLBACK_PAUSE)),
        };
        // If the wait fails, the caller checks the jobs earlier than necessary.
        let _ = match (own, other) {
            (Some(own), Some(other)) => wait(&[own, other], timeout),
            (Some(source), None) | (None, Some(source)) => wait(&[source], timeout),
            (None, None) => wait(&[], timeout),
        };
    }

    /// Becomes readable when [`Watcher::changed`] has jobs to report. `None` if the system has no free watch: then call
    /// [`Watcher::changed`] periodically.
    pub(crate) fn readable(&self) -> Option<WaitSource<'_>> {
        self.source().filter(|_| !self.watched().is_incomplete)
    }

    /// The source of [`Watcher::readable`], even if a job could not be watched. `None` only for a watcher of
    /// [`Watcher::new`].
    pub(crate) fn source(&self) -> Option<WaitSource<'_>> {
        self.sources.as_ref().map(|sources| sources.group.as_wait_source())
    }

    /// Decides when to observe a job again, and watches its supervisor if the system needs that.
    fn examine(&self, watched: &mut Watched, id: JobId) -> io::Result<()> {
        let writer = watched.safety.examine(&self.jobs, id);
        match (&self.sources, watched.jobs.get(&id), writer) {
            (Some(sources), Some(Some(watch)), Some(writer)) => sources.changes.watch_writer(*watch, &writer),
            _ => Ok(()),
        }
    }

    fn set_timer(&self, watched: &Watched) {
        if let Some(sources) = &self.sources {
            sources.timer.set(watched.safety.next_due());
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    fn open() -> io::Result<Sources> {
        let (changes, timer) = (ChangeWatcher::new()?, Timer::new()?);
        let group = WaitGroup::of(&[changes.as_wait_source(), timer.as_wait_source()])?;
        Ok(Sources { group, changes, timer })
    }

    /// Reads all events, and adds their jobs to `changed`.
    fn add_changed(&self, watched: &Watched, changed: &mut Vec<JobId>) {
        self.changes.for_each_event(|event| match event {
            ChangeEvent::Changed { watch, .. } => changed.extend(watched.by_watch.get(&watch)),
            ChangeEvent::Overflow => changed.extend(watched.jobs.keys()),
        });
    }
}

/// SQLite writes to files beside the ledger, and creates them when they are missing.
fn ledger_changes() -> ChangeKinds {
    ChangeKinds::WRITTEN | ChangeKinds::CREATED
}
