//! Waiting for jobs to end, without asking again and again: the kernel tells when a record is written, and when its
//! supervisor lets go of it.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use homing_core::{Job, JobId};
use homing_supervisor::layout::{INBOX, JOBS, RECORD};
use homing_supervisor::platform::clock::timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use crate::Result;
use crate::home::Home;
use crate::homing::Homing;
use crate::sighting::look_at;

/// Which of several jobs are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitFor {
    /// All of them.
    #[default]
    All,
    /// The first that ends.
    Any,
}

/// What came of waiting.
#[derive(Clone, Debug)]
pub struct Waited {
    /// Whether what was waited for came; if not, the time ran out.
    pub satisfied: bool,
    /// The jobs in the order asked for, as they are now.
    pub jobs: Vec<Job>,
}

/// What is heard of a record: it is written when its job starts and ends, and closed when its supervisor dies.
pub(crate) const RECORD_EVENTS: inotify::WatchFlags = inotify::WatchFlags::MODIFY
    .union(inotify::WatchFlags::CLOSE_WRITE)
    .union(inotify::WatchFlags::DELETE_SELF);

/// How often whoever waits is asked whether it was interrupted.
const INTERRUPTION_PAUSE: Duration = Duration::from_millis(500);

/// How often jobs are looked at where the kernel has no more watches to give (`fs.inotify.max_user_instances`).
const FALLBACK_PAUSE: Duration = Duration::from_millis(100);

impl Homing {
    /// Waits until jobs are over, at most as long as `timeout` says. It acknowledges nothing: whoever then reads the
    /// result in the name of its session calls [`Homing::acknowledge`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of them does not exist.
    pub fn wait(&self, ids: &[JobId], wait_for: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_while(ids, wait_for, timeout, None)
    }

    /// As [`Homing::wait`], but gives up as soon as `interrupted` says so: it is asked whenever a signal has been
    /// handled in this thread, and twice a second, since the signal may have come to another one.
    ///
    /// # Errors
    /// As [`Homing::wait`].
    pub fn wait_unless(
        &self,
        ids: &[JobId],
        wait_for: WaitFor,
        timeout: Option<Duration>,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Waited> {
        self.wait_while(ids, wait_for, timeout, Some(interrupted))
    }

    fn wait_while(
        &self,
        ids: &[JobId],
        wait_for: WaitFor,
        timeout: Option<Duration>,
        mut interrupted: Option<&mut dyn FnMut() -> bool>,
    ) -> Result<Waited> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let boot_id = self.boot_id()?;
        // Watch before looking: what happens in between is not missed.
        let watcher = Watcher::new(&self.home, ids);
        let mut open: Vec<JobId> = ids.to_vec();
        loop {
            let mut still_open = Vec::with_capacity(open.len());
            for id in open {
                if !self.is_over_in_boot(id, &boot_id)? {
                    still_open.push(id);
                }
            }
            open = still_open;
            let satisfied = match wait_for {
                WaitFor::All => open.is_empty(),
                WaitFor::Any => open.len() < ids.len() || ids.is_empty(),
            };
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let given_up = interrupted.as_mut().is_some_and(|interrupted| interrupted());
            if satisfied || given_up || left.is_some_and(|left| left.is_zero()) {
                return Ok(Waited { satisfied, jobs: self.get_all(ids)? });
            }
            let pause = interrupted.is_some().then_some(INTERRUPTION_PAUSE);
            watcher.wait(left.into_iter().chain(pause).min());
        }
    }

    pub(crate) fn is_over_in_boot(&self, id: JobId, boot_id: &str) -> Result<bool> {
        match look_at(&self.home.jobs, id, boot_id)? {
            Some(seen) => Ok(seen.finished.is_some()),
            // The ledger may remember a job whose directory is gone; that is over too.
            None => self.get(id).map(|_| true),
        }
    }
}

/// Is told by the kernel when something of the watched jobs may have changed.
#[derive(Debug)]
pub(crate) struct Watcher {
    inotify: Option<OwnedFd>,
}

impl Watcher {
    /// Watches the records of these jobs.
    pub(crate) fn new(home: &Home, ids: &[JobId]) -> Watcher {
        let jobs = home.root.path().join(JOBS);
        Watcher::watch(ids.iter().map(|id| jobs.join(id.as_str()).join(RECORD)), RECORD_EVENTS)
    }

    /// Watches the records of these jobs, and for jobs that begin.
    pub(crate) fn of_jobs_and_bells(home: &Home, ids: &[JobId]) -> Watcher {
        let flags =
            inotify::WatchFlags::MODIFY | inotify::WatchFlags::CLOSE_WRITE | inotify::WatchFlags::DELETE_SELF;
        let jobs = home.root.path().join(JOBS);
        let records = ids.iter().map(|id| jobs.join(id.as_str()).join(RECORD));
        Watcher::watch(records.chain([home.root.path().join(INBOX)]), flags)
    }

    /// Watches a whole job directory: its output too.
    pub(crate) fn of_output(home: &Home, id: JobId) -> Watcher {
        let flags =
            inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::CLOSE_WRITE;
        Watcher::watch([home.root.path().join(JOBS).join(id.as_str())], flags)
    }

    fn watch(paths: impl IntoIterator<Item = std::path::PathBuf>, flags: inotify::WatchFlags) -> Watcher {
        let watch_all = || {
            let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            for path in paths {
                match inotify::add_watch(&inotify, &path, flags) {
                    // What is not there will be noticed by looking.
                    Ok(_) | Err(rustix::io::Errno::NOENT) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(inotify)
        };
        Watcher { inotify: watch_all().ok() }
    }

    /// Waits until something may have changed, or the time is over.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let Some(inotify) = &self.inotify else {
            return std::thread::sleep(timeout.unwrap_or(FALLBACK_PAUSE).min(FALLBACK_PAUSE));
        };
        let timeout = timeout.map(timespec);
        let mut polled = [PollFd::new(inotify, PollFlags::IN)];
        let _ = poll(&mut polled, timeout.as_ref());
        // What exactly happened does not matter: everything is looked at again.
        let mut events = [0; 4096];
        while rustix::io::read(inotify, &mut events).is_ok_and(|count| count > 0) {}
    }
}
