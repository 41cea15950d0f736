//! Enforces the timeout of a job whose supervisor cannot do so, because it is stopped or traced. Only the active monitor
//! does this. It never interferes with a supervisor that works.

use std::time::Duration;

use homing_core::{JobId, Outcome};
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::process;
use homing_supervisor::{SpecFile, injected_millis};

use crate::Result;
use crate::store::job_store::JobStore;
use crate::store::observe::{record_of, runs_here};

/// How long after the timeout and the grace time the monitor waits before it enforces the timeout.
const LIMIT_MARGIN: Duration = Duration::from_secs(5);

/// The result of enforcing a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKept {
    /// The job has finished, or this process cannot end it.
    NotNeeded,
    /// Its supervisor runs and enforces the timeout itself.
    EnforcedBySupervisor,
    /// Its supervisor was stopped or traced and has been killed. Recovery ends the rest.
    SupervisorKilled,
}

impl JobStore {
    /// The time until the monitor must enforce the timeout of a running job, on the clock that includes suspend. `None` if
    /// the job has no timeout or does not run in this pid namespace.
    pub(crate) fn limit_due_in(&self, id: JobId) -> Result<Option<Duration>> {
        let Some((directory, record)) = record_of(&self.home.jobs, id) else { return Ok(None) };
        let Some(spec) = SpecFile::read(&directory)? else { return Ok(None) };
        let limits = spec.limits();
        let (Some(timeout), Some(started)) = (limits.timeout, record.started.into_valid()) else {
            return Ok(None);
        };
        if !runs_here(&directory, &started, self.here()?)? {
            return Ok(None);
        }
        let started_at = started.main.started_at();
        let margin = injected_millis("limit_margin").unwrap_or(LIMIT_MARGIN);
        let due_at = started_at.saturating_add(timeout).saturating_add(limits.grace).saturating_add(margin);
        Ok(Some(due_at.saturating_sub(uptime())))
    }

    /// Ends a job whose timeout has expired and whose supervisor is stopped or traced: records `timed_out` and kills the
    /// supervisor.
    ///
    /// # Errors
    /// When the record cannot be written, or the supervisor cannot be signalled.
    pub(crate) fn keep_limit(&self, id: JobId) -> Result<LimitKept> {
        let Some((directory, record)) = record_of(&self.home.jobs, id) else {
            return Ok(LimitKept::NotNeeded);
        };
        let is_finished = record.finished.valid().is_some();
        let Some(started) = record.started.into_valid().filter(|_| !is_finished) else {
            return Ok(LimitKept::NotNeeded);
        };
        if !runs_here(&directory, &started, self.here()?)? {
            return Ok(LimitKept::NotNeeded);
        }
        let stat = process::stat(started.supervisor.pid)
            .filter(|stat| stat.start_ticks == started.supervisor.start_ticks);
        match stat {
            None => Ok(LimitKept::NotNeeded),
            // It was killed before, but its tracer does not let it exit. End the remaining processes anyway.
            Some(stat) if stat.is_doomed() => {
                self.conclude_for_doomed(id, &started)?;
                Ok(LimitKept::SupervisorKilled)
            }
            Some(stat) if stat.is_stopped() => {
                self.end_from_outside(id, &started, Outcome::TimedOut)?;
                Ok(LimitKept::SupervisorKilled)
            }
            Some(_) => Ok(LimitKept::EnforcedBySupervisor),
        }
    }
}
