//! Ends jobs on request: their supervisors are asked, and do it. All are asked before one is waited for.

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
    /// Ends a job, and returns when it is over and nothing of it is left. Of a job that is over already, what it left
    /// running is ended. Ended by its own session, a job is not followed up.
    ///
    /// A supervisor that is stopped is continued. Where the supervisor does not end the job within its grace time and five
    /// seconds because it is stopped or traced, or within 20 seconds for another reason, supervisor and job are killed from
    /// here; the outcome is `killed` all the same.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::NotFinishedInTime`] where it does not end in time; [`Error::CannotSignal`] where its
    /// supervisor may not be signalled.
    pub fn kill(&self, id: JobId, by: KilledBy) -> Result<Job> {
        Ok(self.kill_all(&[(id, by)])?.remove(0))
    }

    /// As [`Homing::kill`], for several jobs, side by side: their grace times pass together. Returns them in the order
    /// asked for.
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
    /// As [`Homing::kill`]; the first error, after all other jobs were ended.
    pub fn kill_all(&self, jobs: &[(JobId, KilledBy)]) -> Result<Vec<Job>> {
        self.kill_all_unless(jobs, &mut Interruption { readable: None, came: &mut || false })
    }

    /// As [`Homing::kill_all`], but gives up waiting when it is interrupted: the jobs were asked to end then, and may still
    /// run.
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

    /// Begins to end jobs without a thread, for a host with an event loop of its own: it calls [`Homing::has_killed`]
    /// first, which asks all supervisors, and again whenever [`Killing::readable`] has something to read.
    pub fn begin_killing(&self, jobs: &[(JobId, KilledBy)]) -> Killing {
        let targets: HashMap<JobId, Target> = jobs.iter().map(|(id, by)| (*id, Target::new(*by))).collect();
        let ids: Vec<JobId> = targets.keys().copied().collect();
        // Watch before looking: what happens in between is not missed.
        let watcher = Watcher::new(&self.home, &ids);
        Killing { watcher, targets, unlinked: UnlinkedSupervisors::default(), is_begun: false, error: None }
    }

    /// Does what is to be done next, and answers whether all jobs are over and nothing of them is left. Blocks no longer
    /// than looking takes, except where it kills a job whose supervisor cannot: up to 10 seconds.
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

    /// Asks for a job's end, and returns at once. Of a job that is over already, what it left running is asked to end.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::NotFinishedInTime`] where it has no supervisor yet, and gets none in time.
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

    /// Whether something of a job that is over was kept running, and is still being looked after.
    pub(crate) fn is_looked_after(&self, id: JobId) -> Result<bool, DiskError> {
        match self.home.jobs.open_job(id) {
            Ok(directory) => Ok(homing_supervisor::JobLock::is_held(&directory)?),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Jobs that are being ended, without a thread.
#[derive(Debug)]
pub struct Killing {
    watcher: Watcher,
    /// Those that are not over.
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
