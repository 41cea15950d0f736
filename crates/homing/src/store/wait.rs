//! Waits for jobs to finish. A [`Watcher`] reports changes, so nothing polls. Changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use homing_core::JobId;
use homing_supervisor::platform::wait::WaitSource;

use crate::Result;
use crate::store::home::Home;
use crate::store::job_store::JobStore;
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

/// Interrupts a wait, for a host that handles signals.
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct Interruption<'a> {
    /// Becomes readable when the wait may have been interrupted, such as a pipe that a signal handler writes to. On Unix,
    /// a `BorrowedFd` converts into it.
    pub readable: Option<WaitSource<'a>>,
    /// Returns whether the wait was interrupted. Called at the beginning, when `readable` becomes readable (it must then
    /// consume the data), when a job may have changed, and when this thread has handled a signal.
    pub came: &'a mut dyn FnMut() -> bool,
}

impl JobStore {
    /// Whether a job has finished; `None` if it has no directory.
    pub(crate) fn is_finished(&self, id: JobId) -> Result<Option<bool>> {
        // The record alone suffices for a finished or running job.
        if let Some((directory, content)) = record_of(&self.home.jobs, id) {
            if content.finished.valid().is_some() {
                return Ok(Some(true));
            }
            if let Some(started) = content.started.valid()
                && runs_here(&directory, started, self.here()?)?
            {
                return Ok(Some(false));
            }
        }
        Ok(observe(&self.home.jobs, id, self.here()?)?.map(|seen| seen.finished.is_some()))
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
    pub(crate) fn new(home: &Home, ids: &[JobId], wait_for: WaitFor) -> Waiting {
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(home, ids);
        let open: HashSet<JobId> = ids.iter().copied().collect();
        Waiting { watcher, wait_for, asked_for: open.len(), open, is_begun: false }
    }

    /// Checks the jobs that may have changed. Returns whether the condition is met.
    pub(crate) fn check(&mut self, mut is_finished: impl FnMut(JobId) -> Result<bool>) -> Result<bool> {
        // Call this before observing: the changes reported so far are then covered.
        let changed = self.watcher.changed();
        let to_check = if self.is_begun { changed } else { self.open.iter().copied().collect::<Vec<_>>() };
        for id in to_check {
            if self.open.contains(&id) && is_finished(id)? {
                self.open.remove(&id);
                self.watcher.remove(id);
            }
        }
        self.is_begun = true;
        Ok(match self.wait_for {
            WaitFor::All => self.open.is_empty(),
            WaitFor::Any => self.open.len() < self.asked_for || self.asked_for == 0,
        })
    }

    /// Waits until a job may have changed, until `readable` becomes readable, or until the timeout expires.
    pub(crate) fn wait(&self, readable: Option<WaitSource<'_>>, timeout: Option<Duration>) {
        self.watcher.wait_beside(readable, timeout);
    }

    /// Becomes readable when a job may have changed. `None` if the system has no watch left: then call
    /// [`Homing::is_satisfied`](crate::Homing::is_satisfied) periodically.
    pub fn readable(&self) -> Option<WaitSource<'_>> {
        self.watcher.readable()
    }
}
