//! Reports which jobs may have changed. Only this module asks the kernel for notifications about job records. Callers
//! observe the jobs themselves, after [`Watcher::changed`].
//!
//! A record is written when its job starts and ends, and closed when its supervisor dies, so one inotify(7) watch reports
//! all three. A timer covers changes that the kernel does not report: a lock that is released after the record was closed,
//! a supervisor that never starts. See [`safety`]. While a job runs under a supervisor that is alive, no timer is set.

mod safety;

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing_core::JobId;
use homing_supervisor::layout::RECORD;
use homing_supervisor::platform::clock::timespec;
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use self::safety::SafetyTimer;
use crate::store::home::Home;

/// The events of a record.
const RECORD_EVENTS: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::DONT_FOLLOW);

/// The events of a directory that output is written to. Closed files are not included: a caller that observes the job
/// closes its lock file, and would wake itself up.
const OUTPUT_EVENTS: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::CREATE);

/// How often all jobs count as changed if the kernel has no free watches (`fs.inotify.max_user_instances`).
const FALLBACK_PAUSE: Duration = Duration::from_millis(100);

/// Watches any number of jobs of one home.
#[derive(Debug)]
pub(crate) struct Watcher {
    jobs: PathBuf,
    /// `None` if the kernel has no free instance.
    kernel: Option<Kernel>,
    watched: Mutex<Watched>,
}

/// The descriptors. One epoll(7) instance represents the two others, so that an event loop needs only one descriptor.
#[derive(Debug)]
struct Kernel {
    epoll: OwnedFd,
    inotify: OwnedFd,
    timer: OwnedFd,
}

#[derive(Debug, Default)]
struct Watched {
    /// Each job, and its watch if it has one.
    jobs: HashMap<JobId, Option<i32>>,
    by_watch: HashMap<i32, JobId>,
    safety: SafetyTimer,
    /// Whether the kernel refused a watch, so that its events are incomplete.
    is_incomplete: bool,
}

impl Watcher {
    /// Watches these jobs of a home. If the kernel has no free watch, [`Watcher::readable`] returns `None`.
    pub(crate) fn new(home: &Home, ids: &[JobId]) -> Watcher {
        let jobs = home.jobs.path().to_owned();
        let watcher = Watcher { jobs, kernel: Kernel::open().ok(), watched: Mutex::default() };
        for id in ids {
            watcher.add_if_possible(*id);
        }
        watcher
    }

    /// Creates a watcher without jobs.
    ///
    /// # Errors
    /// If the kernel has no free inotify instance (`fs.inotify.max_user_instances`, inotify(7)).
    pub(crate) fn try_new(home: &Home) -> io::Result<Watcher> {
        let jobs = home.jobs.path().to_owned();
        Ok(Watcher { jobs, kernel: Some(Kernel::open()?), watched: Mutex::default() })
    }

    /// Starts to watch a job. Observe the job after this call: earlier changes are not reported.
    ///
    /// # Errors
    /// If the kernel has no free watch (`fs.inotify.max_user_watches`). A job whose files are missing is not an error.
    pub(crate) fn add(&self, id: JobId) -> io::Result<()> {
        // Keep the lock: an event must find its job.
        let mut watched = self.watched();
        let watch = self.add_path(&self.jobs.join(id.as_str()).join(RECORD), RECORD_EVENTS);
        let descriptor = watch.as_ref().ok().copied().flatten();
        watched.jobs.insert(id, descriptor);
        if let Some(descriptor) = descriptor {
            watched.by_watch.insert(descriptor, id);
        }
        watched.safety.examine(&self.jobs, id);
        self.set_timer(&watched);
        watch.map(drop)
    }

    /// As [`Watcher::add`]. If the kernel has no free watch, [`Watcher::readable`] returns `None`.
    pub(crate) fn add_if_possible(&self, id: JobId) {
        let added = self.add(id);
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also watches the output of a job.
    pub(crate) fn add_output(&self, id: JobId) {
        let added = self.add_path(&self.jobs.join(id.as_str()), OUTPUT_EVENTS);
        self.watched().is_incomplete |= added.is_err();
    }

    /// Also watches for new jobs.
    pub(crate) fn add_inbox(&self, home: &Home) {
        let added = self.add_path(home.inbox.path(), WatchFlags::CLOSE_WRITE);
        self.watched().is_incomplete |= added.is_err();
    }

    /// Watches a path. Returns `None` if it does not exist; the observer notices that.
    fn add_path(&self, path: &Path, flags: WatchFlags) -> io::Result<Option<i32>> {
        let Some(kernel) = &self.kernel else { return Err(Errno::MFILE.into()) };
        match inotify::add_watch(&kernel.inotify, path, flags) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops watching a job.
    pub(crate) fn remove(&self, id: JobId) {
        let mut watched = self.watched();
        if let Some(Some(descriptor)) = watched.jobs.remove(&id) {
            watched.by_watch.remove(&descriptor);
            if let Some(kernel) = &self.kernel {
                // Fails only if the file was removed, which also removed the watch.
                let _ = inotify::remove_watch(&kernel.inotify, descriptor);
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
        match &self.kernel {
            Some(kernel) if !watched.is_incomplete => kernel.take_events(&watched, &mut changed),
            Some(_) | None => changed.extend(watched.jobs.keys()),
        }
        changed.sort_unstable();
        changed.dedup();
        for id in &changed {
            watched.safety.examine(&self.jobs, *id);
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
    pub(crate) fn wait_beside(&self, other: Option<BorrowedFd<'_>>, timeout: Option<Duration>) {
        let readable = self.readable();
        let timeout = match readable {
            Some(_) => timeout,
            None => Some(timeout.unwrap_or(FALLBACK_PAUSE).min(FALLBACK_PAUSE)),
        };
        let mut polled: Vec<PollFd<'_>> = readable
            .into_iter()
            .chain(other)
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        // Without descriptors, this is a sleep that a signal ends.
        let _ = poll(&mut polled, timeout.map(timespec).as_ref());
    }

    /// Becomes readable when [`Watcher::changed`] has jobs to report. `None` if the kernel has no free watch: then call
    /// [`Watcher::changed`] periodically.
    pub(crate) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor().filter(|_| !self.watched().is_incomplete)
    }

    /// The descriptor of [`Watcher::readable`], even if a job could not be watched. `None` only for a watcher of
    /// [`Watcher::new`].
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.kernel.as_ref().map(|kernel| kernel.epoll.as_fd())
    }

    fn set_timer(&self, watched: &Watched) {
        if let Some(kernel) = &self.kernel {
            watched.safety.set(&kernel.timer);
        }
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kernel {
    fn open() -> io::Result<Kernel> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let timer = safety::timer()?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for descriptor in [&inotify, &timer] {
            epoll::add(&epoll, descriptor, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Kernel { epoll, inotify, timer })
    }

    /// Reads all events, and adds their jobs to `changed`.
    fn take_events(&self, watched: &Watched, changed: &mut Vec<JobId>) {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed.extend(watched.jobs.keys());
            }
            changed.extend(watched.by_watch.get(&event.wd()));
        }
    }
}
