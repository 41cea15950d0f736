//! Ends jobs on request. Asks all supervisors before it waits for the first one.

mod last_resort;
mod limit;
mod target;

pub(crate) use limit::LimitKept;

use std::collections::HashMap;

use homing_core::{JobId, KilledBy};
use homing_supervisor::DiskError;
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::wait::WaitSource;

use self::target::{Stage, Target, UnlinkedSupervisors};
use crate::store::job_store::JobStore;
use crate::store::watcher::Watcher;
use crate::{Error, Result};

impl JobStore {
    /// Begins to end jobs without a thread, for a host with its own event loop. Call [`Homing::has_killed`](crate::Homing::has_killed) first, which
    /// asks all supervisors, and again whenever [`Killing::readable`] is readable.
    pub(crate) fn begin_killing(&self, jobs: &[(JobId, KilledBy)]) -> Killing {
        let targets: HashMap<JobId, Target> = jobs.iter().map(|(id, by)| (*id, Target::new(*by))).collect();
        let ids: Vec<JobId> = targets.keys().copied().collect();
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(&self.home, &ids);
        Killing { watcher, targets, unlinked: UnlinkedSupervisors::default(), is_begun: false, error: None }
    }

    /// Does the next step. Returns whether all jobs have finished and none of their processes is left. Does not wait,
    /// except when it kills a job whose supervisor cannot do so: up to 10 seconds.
    pub(crate) fn advance_killing(
        &self,
        killing: &mut Killing,
        is_known: impl Fn(JobId) -> Result<bool>,
    ) -> Result<bool> {
        let mut to_check = killing.watcher.changed();
        if !killing.is_begun {
            self.home.check_current()?;
            to_check = killing.targets.keys().copied().collect();
            killing.is_begun = true;
        }
        let now = uptime();
        let due = |target: &Target| target.next_check.is_some_and(|at| at <= now);
        to_check.extend(killing.targets.iter().filter(|(_, target)| due(target)).map(|(id, _)| *id));
        for id in to_check {
            let Some(mut target) = killing.targets.remove(&id) else { continue };
            match self.advance(id, &mut target, &mut killing.unlinked, &is_known) {
                Ok(Stage::Ended) => killing.watcher.remove(id),
                Ok(_) => drop(killing.targets.insert(id, target)),
                Err(error) => {
                    killing.watcher.remove(id);
                    killing.error.get_or_insert(error);
                }
            }
        }
        killing.watcher.set_alarm(killing.targets.values().filter_map(|target| target.next_check).min());
        match killing.error.take() {
            Some(error) if killing.targets.is_empty() => Err(error),
            error => {
                killing.error = error;
                Ok(killing.targets.is_empty())
            }
        }
    }

    /// Asks a job to end, and returns at once.
    pub(crate) fn request_kill(
        &self,
        id: JobId,
        by: KilledBy,
        is_known: impl Fn(JobId) -> Result<bool>,
    ) -> Result<()> {
        let mut killing = self.begin_killing(&[(id, by)]);
        while !self.advance_killing(&mut killing, &is_known)? {
            if killing.targets.values().all(Target::was_asked) {
                break;
            }
            killing.watcher.wait(None);
        }
        Ok(())
    }

    /// Whether a supervisor still supervises processes that a finished job left running.
    pub(crate) fn has_live_supervisor(&self, id: JobId) -> Result<bool, DiskError> {
        let Some(directory) = self.find_job(id)? else { return Ok(false) };
        homing_supervisor::JobLock::is_held(&directory)
    }
}

/// An operation in progress that ends jobs. It does not occupy a thread.
#[derive(Debug)]
pub struct Killing {
    watcher: Watcher,
    /// The jobs that have not ended yet.
    targets: HashMap<JobId, Target>,
    /// Supervisors whose job directories were removed.
    unlinked: UnlinkedSupervisors,
    is_begun: bool,
    error: Option<Error>,
}

impl Killing {
    /// Waits until a next step may be due, or until `readable` becomes readable.
    pub(crate) fn wait(&self, readable: Option<WaitSource<'_>>) {
        self.watcher.wait_beside(readable, None);
    }

    /// The jobs, if none of them was asked yet.
    pub(crate) fn unasked(&self) -> Vec<(JobId, KilledBy)> {
        if self.is_begun {
            return Vec::new();
        }
        self.targets.iter().map(|(id, target)| (*id, target.by)).collect()
    }

    /// Becomes readable when a next step may be due. `None` if the system has no watch left: then call
    /// [`Homing::has_killed`](crate::Homing::has_killed) periodically.
    pub fn readable(&self) -> Option<WaitSource<'_>> {
        self.watcher.readable()
    }
}
