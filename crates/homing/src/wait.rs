//! Waiting for jobs to end, without asking again and again: the kernel tells when a record is written, and when its
//! supervisor lets go of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use homing_core::{Job, JobId};
use homing_supervisor::layout::RECORD;
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
        let mut waiting = self.begin_waiting(ids, wait_for);
        loop {
            let satisfied = self.is_satisfied(&mut waiting)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let given_up = interrupted.as_mut().is_some_and(|interrupted| interrupted());
            if satisfied || given_up || left.is_some_and(|left| left.is_zero()) {
                return Ok(Waited { satisfied, jobs: self.get_all(ids)? });
            }
            let pause = interrupted.is_some().then_some(INTERRUPTION_PAUSE);
            waiting.watcher.wait(left.into_iter().chain(pause).min());
        }
    }

    /// Begins to wait without a thread, for a host with an event loop of its own: it asks [`Homing::is_satisfied`]
    /// first, and again whenever [`Waiting::readable`] has something to read.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("sleep 0.1")?)?;
    /// let mut waiting = homing.begin_waiting(&[job.id], homing::WaitFor::All);
    /// while !homing.is_satisfied(&mut waiting)? {
    ///     // An event loop waits for `waiting.readable()` here.
    ///     std::thread::sleep(std::time::Duration::from_millis(5));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_waiting(&self, ids: &[JobId], wait_for: WaitFor) -> Waiting {
        // Watch before looking: what happens in between is not missed.
        let watcher = Watcher::new(&self.home, ids);
        Waiting { watcher, wait_for, open: ids.to_vec(), asked_for: ids.len() }
    }

    /// Whether what is waited for has come. Blocks no longer than looking takes.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of the jobs does not exist.
    pub fn is_satisfied(&self, waiting: &mut Waiting) -> Result<bool> {
        // What has been told so far is about what is looked at now.
        waiting.watcher.forget_events();
        let boot_id = self.boot_id()?;
        let mut still_open = Vec::with_capacity(waiting.open.len());
        for id in &waiting.open {
            if !self.is_over_in_boot(*id, &boot_id)? {
                still_open.push(*id);
            }
        }
        waiting.open = still_open;
        Ok(match waiting.wait_for {
            WaitFor::All => waiting.open.is_empty(),
            WaitFor::Any => waiting.open.len() < waiting.asked_for || waiting.asked_for == 0,
        })
    }

    pub(crate) fn is_over_in_boot(&self, id: JobId, boot_id: &str) -> Result<bool> {
        match look_at(&self.home.jobs, id, boot_id)? {
            Some(seen) => Ok(seen.finished.is_some()),
            // The ledger may remember a job whose directory is gone; that is over too.
            None => self.get(id).map(|_| true),
        }
    }
}

/// A wait that is under way, and holds no thread.
#[derive(Debug)]
pub struct Waiting {
    watcher: Watcher,
    wait_for: WaitFor,
    open: Vec<JobId>,
    asked_for: usize,
}

impl Waiting {
    /// Becomes readable, without blocking, when something may have changed. `None` where the kernel has no more watches
    /// to give: then [`Homing::is_satisfied`] has to be asked every now and then.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.readable()
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
        Watcher::watch(records(home, ids).map(|record| (record, RECORD_EVENTS)))
    }

    /// Watches the records of these jobs, and for jobs that begin.
    pub(crate) fn of_jobs_and_bells(home: &Home, ids: &[JobId]) -> Watcher {
        let watched = records(home, ids).chain([home.inbox.path().to_owned()]);
        Watcher::watch(watched.map(|path| (path, RECORD_EVENTS)))
    }

    /// Watches a job's record and its output.
    pub(crate) fn of_output(home: &Home, id: JobId) -> Watcher {
        let directory = home.jobs.path().join(id.as_str());
        let record = directory.join(RECORD);
        // Not for files being closed: whoever looks whether the job is over closes its lock, and would hear of that.
        let output_events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        Watcher::watch([(directory, output_events), (record, RECORD_EVENTS)])
    }

    fn watch(watched: impl IntoIterator<Item = (PathBuf, inotify::WatchFlags)>) -> Watcher {
        let watch_all = || {
            let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            for (path, flags) in watched {
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
        self.forget_events();
    }

    /// Becomes readable when something may have changed; `None` where the kernel has no watch left.
    pub(crate) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// What exactly happened does not matter: everything is looked at again.
    pub(crate) fn forget_events(&self) {
        let mut events = [0; 4096];
        if let Some(inotify) = &self.inotify {
            while rustix::io::read(inotify, &mut events).is_ok_and(|count| count > 0) {}
        }
    }
}

fn records(home: &Home, ids: &[JobId]) -> impl Iterator<Item = PathBuf> {
    ids.iter().map(|id| home.jobs.path().join(id.as_str()).join(RECORD))
}
