//! Ending a job on request: its supervisor is asked, and does it.

use std::io;
use std::time::{Duration, Instant};

use homing_core::{Job, JobId, KilledBy, StateName};
use homing_supervisor::platform::signals;
use homing_supervisor::{DiskError, StartedRecord, UnlinkedSupervisor, find_unlinked_supervisors};

use crate::homing::Homing;
use crate::observe::{StartKnowledge, observe};
use crate::recover::RecoverOptions;
use crate::watcher::Watcher;
use crate::{Error, Result, WaitFor};

/// How long a job that is just being launched has to get a supervisor that can be asked.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// How much longer than its grace time a job may take to end: the supervisor itself gives up after ten seconds.
const END_PATIENCE: Duration = Duration::from_secs(20);

impl Homing {
    /// Ends a job, and returns when it is over and nothing of it is left. Of a job that is over already, what it left
    /// running is ended. Ended by its own session, a job is not followed up.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::StillNotOver`] where it does not end in time.
    pub fn kill(&self, id: JobId, by: KilledBy) -> Result<Job> {
        self.request_kill(id, by)?;
        let job = self.get(id)?;
        let patience = job.limits.grace.saturating_add(END_PATIENCE);
        let waited = self.wait(&[id], WaitFor::All, Some(patience))?;
        if !waited.satisfied || !self.wait_until_unattended(id, patience)? {
            return Err(Error::StillNotOver { job: id, state: job.state.name(), waited: patience });
        }
        self.get(id)
    }

    /// Waits until the job's supervisor is gone, and with it what it kept running.
    fn wait_until_unattended(&self, id: JobId, patience: Duration) -> Result<bool> {
        let give_up_at = Instant::now() + patience;
        let watcher = Watcher::new(&self.home, &[id]);
        while self.is_looked_after(id)? {
            if Instant::now() >= give_up_at {
                return Ok(false);
            }
            // The record is closed just before the lock is let go of.
            watcher.wait(Some(Duration::from_millis(20)));
            watcher.changed();
        }
        Ok(true)
    }

    /// Asks for a job's end, and returns at once. Of a job that is over already, what it left running is asked to end.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`]; [`Error::StillNotOver`] where it has no supervisor yet, and gets none in time.
    pub fn request_kill(&self, id: JobId, by: KilledBy) -> Result<()> {
        let give_up_at = Instant::now() + START_PATIENCE;
        let watcher = Watcher::new(&self.home, &[id]);
        loop {
            match self.supervisor_of(id)? {
                Supervisor::NotNeeded => return Ok(()),
                Supervisor::Recorded(started) => match signals::request_kill(&started.supervisor, by) {
                    Ok(()) => return Ok(()),
                    // It died just now: the next look ends what it left.
                    Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                    Err(source) => return Err(Error::CannotSignal { job: id, source }),
                },
                Supervisor::Unlinked(supervisors) => {
                    for supervisor in supervisors {
                        supervisor.end(by).map_err(|source| Error::CannotSignal { job: id, source })?;
                    }
                    return Ok(());
                }
                Supervisor::NotYet => {}
            }
            if Instant::now() >= give_up_at {
                let (job, state) = (id, StateName::Starting);
                return Err(Error::StillNotOver { job, state, waited: START_PATIENCE });
            }
            watcher.wait(Some(Duration::from_millis(50)));
            watcher.changed();
        }
    }

    fn supervisor_of(&self, id: JobId) -> Result<Supervisor> {
        match observe(&self.home.jobs, id, self.here()?)? {
            Some(seen) if seen.recovery().is_some() => {
                self.recover_job(id, StartKnowledge::MayAppear, RecoverOptions::default())?;
                Ok(Supervisor::NotNeeded)
            }
            Some(seen) => Ok(match (seen.started, seen.finished) {
                (Some(started), Some(_)) if self.is_looked_after(id)? => {
                    Supervisor::Recorded(Box::new(started))
                }
                (_, Some(_)) => Supervisor::NotNeeded,
                (Some(started), None) => Supervisor::Recorded(Box::new(started)),
                (None, None) => Supervisor::NotYet,
            }),
            // Pruned or removed; the ledger says which, and a job that is over needs no killing. One that was removed
            // while it ran may have a supervisor that has not noticed.
            None => {
                let mut supervisors = find_unlinked_supervisors(&self.home.jobs);
                supervisors.retain(|supervisor| supervisor.job == id);
                if supervisors.is_empty() {
                    return self.get(id).map(|_| Supervisor::NotNeeded);
                }
                Ok(Supervisor::Unlinked(supervisors))
            }
        }
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

/// Who can be asked to end a job.
enum Supervisor {
    /// It is over.
    NotNeeded,
    /// This one.
    Recorded(Box<StartedRecord>),
    /// Those that run without a job directory in this home.
    Unlinked(Vec<UnlinkedSupervisor>),
    /// Nobody yet.
    NotYet,
}
