//! Waits for jobs to end, woken up by a [`Watcher`] and not by a clock. Changes nothing.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use homing_core::{Job, JobId};

use crate::Result;
use crate::homing::Homing;
use crate::store::observe::{observe, record_of, runs_here};
use crate::store::watcher::Watcher;

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

/// What ends a wait before its time, for a host that has signals of its own.
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Interruption<'a> {
    /// Becomes readable when the wait may have been interrupted, such as a pipe that a signal handler writes to.
    pub readable: Option<BorrowedFd<'a>>,
    /// Whether the wait was interrupted. Asked at the beginning, when `readable` is, which this must make unreadable again,
    /// when something happens to a job, and when a signal was handled in this thread.
    pub came: &'a mut dyn FnMut() -> bool,
}

impl Homing {
    /// Waits until jobs are over, at most as long as `timeout` says. It acknowledges nothing: whoever then reads the
    /// result in the name of its session calls [`Homing::acknowledge`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of them does not exist.
    pub fn wait(&self, ids: &[JobId], wait_for: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_unless(ids, wait_for, timeout, &mut Interruption { readable: None, came: &mut || false })
    }

    /// As [`Homing::wait`], but gives up when it is interrupted. Does not wake up before that.
    ///
    /// # Errors
    /// As [`Homing::wait`].
    pub fn wait_unless(
        &self,
        ids: &[JobId],
        wait_for: WaitFor,
        timeout: Option<Duration>,
        interruption: &mut Interruption<'_>,
    ) -> Result<Waited> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut waiting = self.begin_waiting(ids, wait_for);
        loop {
            let satisfied = self.is_satisfied(&mut waiting)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if satisfied || (interruption.came)() || left.is_some_and(|left| left.is_zero()) {
                return Ok(Waited { satisfied, jobs: self.get_all(ids)? });
            }
            waiting.watcher.wait_beside(interruption.readable, left);
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
        let open: HashSet<JobId> = ids.iter().copied().collect();
        Waiting { watcher, wait_for, asked_for: open.len(), open, is_begun: false }
    }

    /// Whether what is waited for has come. Blocks no longer than looking takes.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of the jobs does not exist.
    pub fn is_satisfied(&self, waiting: &mut Waiting) -> Result<bool> {
        // Before looking: what has been reported so far is about what is looked at now.
        let changed = waiting.watcher.changed();
        let to_look_at =
            if waiting.is_begun { changed } else { waiting.open.iter().copied().collect::<Vec<_>>() };
        for id in to_look_at {
            if waiting.open.contains(&id) && self.is_finished(id)? {
                waiting.open.remove(&id);
                waiting.watcher.remove(id);
            }
        }
        waiting.is_begun = true;
        Ok(match waiting.wait_for {
            WaitFor::All => waiting.open.is_empty(),
            WaitFor::Any => waiting.open.len() < waiting.asked_for || waiting.asked_for == 0,
        })
    }

    /// Whether a job has finished. Observes the job itself, not the ledger.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where there is none of that id.
    pub fn is_finished(&self, id: JobId) -> Result<bool> {
        // By its record alone where that says it, as it does for a job that runs.
        if let Some((directory, content)) = record_of(&self.home.jobs, id) {
            if content.finished.valid().is_some() {
                return Ok(true);
            }
            if let Some(started) = content.started.valid()
                && runs_here(&directory, started, self.here()?)?
            {
                return Ok(false);
            }
        }
        match observe(&self.home.jobs, id, self.here()?)? {
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
    open: HashSet<JobId>,
    asked_for: usize,
    /// Whether every job was looked at once; after that only those that may have changed are.
    is_begun: bool,
}

impl Waiting {
    /// Becomes readable, without blocking, when something may have changed. `None` where the kernel has no more watches
    /// to give: then [`Homing::is_satisfied`] has to be asked every now and then.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.readable()
    }
}
