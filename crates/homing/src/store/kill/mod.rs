//! Ends jobs on request. Asks all supervisors before it waits for the first one.

mod last_resort;
mod limit;
mod target;

pub(crate) use limit::LimitKept;

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

use homing_core::{Job, JobId, KilledBy};
use homing_supervisor::DiskError;
use homing_supervisor::platform::clock::uptime;

use self::target::{Stage, Target, UnlinkedSupervisors};
use crate::homing::Homing;
use crate::store::wait::Interruption;
use crate::store::watcher::Watcher;
use crate::{Error, Result};

impl Homing {
    /// Ends a job, and returns when it has finished and none of its processes is left. If the job has finished already,
    /// ends the processes that it left running. A job that its own session ends has no follow-up.
    ///
    /// Continues a supervisor that is stopped. Kills supervisor and job directly if the supervisor does not end the job
    /// within its grace time and five seconds because it is stopped or traced, or within 20 seconds for another reason.
    /// The outcome is `killed` in each case.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::NotFinishedInTime`] if it does not end in time; [`Error::CannotSignal`] if its
    /// supervisor cannot be signalled.
    pub fn kill(&self, id: JobId, by: KilledBy) -> Result<Job> {
        Ok(self.kill_all(&[(id, by)])?.remove(0))
    }

    /// As [`Homing::kill`], for several jobs in parallel. Returns them in the requested order.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let ids = [homing.launch(homing::JobSpec::script("sleep 60")?)?.id, homing.launch(homing::JobSpec::script("sleep 60")?)?.id];
    /// let killed = homing.kill_all(&ids.map(|id| (id, homing::KilledBy::Operator)))?;
    /// assert!(killed.iter().all(|job| job.outcome().is_some()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::kill`]. Returns the first error after all other jobs were ended.
    pub fn kill_all(&self, jobs: &[(JobId, KilledBy)]) -> Result<Vec<Job>> {
        self.kill_all_unless(jobs, &mut Interruption { readable: None, came: &mut || false })
    }

    /// As [`Homing::kill_all`], but stops waiting when it is interrupted. The jobs were asked to end and may still run.
    ///
    /// # Errors
    /// As [`Homing::kill_all`].
    pub fn kill_all_unless(
        &self,
        jobs: &[(JobId, KilledBy)],
        interruption: &mut Interruption<'_>,
    ) -> Result<Vec<Job>> {
        let mut killing = self.begin_killing(jobs);
        while !self.has_killed(&mut killing)? && !(interruption.came)() {
            killing.watcher.wait_beside(interruption.readable, None);
        }
        let ids: Vec<JobId> = jobs.iter().map(|(id, _)| *id).collect();
        self.get_all(&ids)
    }

    /// Begins to end jobs without a thread, for a host with its own event loop. Call [`Homing::has_killed`] first, which
    /// asks all supervisors, and again whenever [`Killing::readable`] is readable.
    pub fn begin_killing(&self, jobs: &[(JobId, KilledBy)]) -> Killing {
        let targets: HashMap<JobId, Target> = jobs.iter().map(|(id, by)| (*id, Target::new(*by))).collect();
        let ids: Vec<JobId> = targets.keys().copied().collect();
        // Watch before observing, so that no change in between is missed.
        let watcher = Watcher::new(&self.home, &ids);
        Killing { watcher, targets, unlinked: UnlinkedSupervisors::default(), is_begun: false, error: None }
    }

    /// Does the next step. Returns whether all jobs have finished and none of their processes is left. Does not wait,
    /// except when it kills a job whose supervisor cannot do so: up to 10 seconds.
    ///
    /// # Errors
    /// As [`Homing::kill_all`].
    pub fn has_killed(&self, killing: &mut Killing) -> Result<bool> {
        let mut to_look_at = killing.watcher.changed();
        if !killing.is_begun {
            self.home.check_current()?;
            to_look_at = killing.targets.keys().copied().collect();
            killing.is_begun = true;
        }
        let now = uptime();
        let due = |target: &Target| target.look_at.is_some_and(|at| at <= now);
        to_look_at.extend(killing.targets.iter().filter(|(_, target)| due(target)).map(|(id, _)| *id));
        for id in to_look_at {
            let Some(mut target) = killing.targets.remove(&id) else { continue };
            match self.advance(id, &mut target, &mut killing.unlinked) {
                Ok(Stage::Over) => killing.watcher.remove(id),
                Ok(_) => drop(killing.targets.insert(id, target)),
                Err(error) => {
                    killing.watcher.remove(id);
                    killing.error.get_or_insert(error);
                }
            }
        }
        killing.watcher.set_alarm(killing.targets.values().filter_map(|target| target.look_at).min());
        match killing.error.take() {
            Some(error) if killing.targets.is_empty() => Err(error),
            error => {
                killing.error = error;
                Ok(killing.targets.is_empty())
            }
        }
    }

    /// Asks a job to end, and returns at once. If the job has finished already, asks the processes that it left running.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::NotFinishedInTime`] if no supervisor appears in time.
    pub fn request_kill(&self, id: JobId, by: KilledBy) -> Result<()> {
        let mut killing = self.begin_killing(&[(id, by)]);
        while !self.has_killed(&mut killing)? {
            if killing.targets.values().all(Target::was_asked) {
                break;
            }
            killing.watcher.wait(None);
        }
        Ok(())
    }

    /// Whether a supervisor still supervises processes that a finished job left running.
    pub(crate) fn is_looked_after(&self, id: JobId) -> Result<bool, DiskError> {
        match self.home.jobs.open_job(id) {
            Ok(directory) => Ok(homing_supervisor::JobLock::is_held(&directory)?),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
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
    /// Becomes readable, without blocking, when there may be something to do. `None` where the kernel has no more watches
    /// to give: then [`Homing::has_killed`] has to be called every now and then.
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.readable()
    }
}
