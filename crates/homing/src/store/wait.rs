//! Waits for jobs to finish. A [`Watcher`] reports changes, so nothing polls. Changes nothing.

use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use homing_core::{Job, JobId};

use crate::Result;
use crate::homing::Homing;
use crate::store::observe::{observe, record_of, runs_here};
use crate::store::watcher::Watcher;

/// Which of several jobs a wait waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitFor {
    /// All of them.
    #[default]
    All,
    /// The first one that finishes.
    Any,
}

/// The result of a wait.
#[derive(Clone, Debug)]
pub struct Waited {
    /// Whether the condition was met. If not, the wait timed out or was interrupted.
    pub satisfied: bool,
    /// The current state of the jobs, in the requested order.
    pub jobs: Vec<Job>,
}

/// Interrupts a wait, for a host that handles signals.
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Interruption<'a> {
    /// Becomes readable when the wait may have been interrupted, such as a pipe that a signal handler writes to.
    pub readable: Option<BorrowedFd<'a>>,
    /// Returns whether the wait was interrupted. Called at the beginning, when `readable` becomes readable (it must then
    /// consume the data), when a job may have changed, and when this thread has handled a signal.
    pub came: &'a mut dyn FnMut() -> bool,
}

impl Homing {
    /// Waits until jobs have finished, or until `timeout` expires. Acknowledges nothing: a caller that reads the results
    /// for the session calls [`Homing::acknowledge`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of them does not exist.
    pub fn wait(&self, ids: &[JobId], wait_for: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_unless(ids, wait_for, timeout, &mut Interruption { readable: None, came: &mut || false })
    }

    /// As [`Homing::wait`], but returns early when it is interrupted.
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

    /// Begins a wait without a thread, for a host with its own event loop. Call [`Homing::is_satisfied`] first, and again
    /// whenever [`Waiting::readable`] is readable.
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
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(&self.home, ids);
        let open: HashSet<JobId> = ids.iter().copied().collect();
        Waiting { watcher, wait_for, asked_for: open.len(), open, is_begun: false }
    }

    /// Whether the condition of the wait is met. Does not wait for jobs.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) where one of the jobs does not exist.
    pub fn is_satisfied(&self, waiting: &mut Waiting) -> Result<bool> {
        // Call this before observing: the changes reported so far are then covered.
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
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it does not exist.
    pub fn is_finished(&self, id: JobId) -> Result<bool> {
        // The record alone suffices for a finished or running job.
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
            // The ledger may have a job whose directory is gone; it has finished too.
            None => self.get(id).map(|_| true),
        }
    }
}

/// A wait in progress. It does not occupy a thread.
#[derive(Debug)]
pub struct Waiting {
    watcher: Watcher,
    wait_for: WaitFor,
    open: HashSet<JobId>,
    asked_for: usize,
    /// Whether every job was observed once. After that, only jobs that may have changed are observed.
    is_begun: bool,
}

impl Waiting {
    /// Becomes readable when a job may have changed. `None` if the kernel has no watch left: then call
    /// [`Homing::is_satisfied`] periodically.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.readable()
    }
}
