//! Keeps the time limit of a job whose supervisor does not, because it is stopped or traced. Only the active monitor does
//! this; a supervisor that works keeps its limit itself, and is never interfered with.

use std::time::Duration;

use homing_core::{JobId, Outcome};
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::procfs;
use homing_supervisor::{SpecFile, injected_millis};

use crate::Result;
use crate::homing::Homing;
use crate::store::observe::{record_of, runs_here};

/// How long after the limit and the grace time a supervisor may take before the limit is kept from outside.
const LIMIT_MARGIN: Duration = Duration::from_secs(5);

/// How the limit of a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKept {
    /// The job is over, or is nothing that this process could end.
    NotNeeded,
    /// Its supervisor is not stopped, and keeps the limit itself.
    AtWork,
    /// Its supervisor was killed just now, because it is stopped or traced; recovery ends the rest.
    SupervisorKilled,
}

impl Homing {
    /// How long it takes until the limit of a running job has to be kept from outside, on the clock that goes on while the
    /// machine sleeps. `None` where the job has no limit, or does not run in this pid namespace.
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
        // The kernel counts from the boot, in ticks (proc_pid_stat(5), `starttime`).
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        let started_at =
            Duration::from_millis(started.main.start_ticks.saturating_mul(1_000) / ticks_per_second);
        let margin = injected_millis("limit_margin").unwrap_or(LIMIT_MARGIN);
        let due_at = started_at.saturating_add(timeout).saturating_add(limits.grace).saturating_add(margin);
        Ok(Some(due_at.saturating_sub(uptime())))
    }

    /// Ends a job whose limit is over and whose supervisor is stopped or traced: `timed_out` is recorded, and the
    /// supervisor is killed.
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
        let stat = procfs::stat(started.supervisor.pid)
            .filter(|stat| stat.start_ticks == started.supervisor.start_ticks);
        match stat {
            None => Ok(LimitKept::NotNeeded),
            // Killed before, and its tracer does not let it exit: what is left of the job is ended all the same.
            Some(stat) if stat.is_doomed() => {
                self.conclude_for_doomed(id, &started)?;
                Ok(LimitKept::SupervisorKilled)
            }
            Some(stat) if stat.is_stopped() => {
                self.end_from_outside(id, &started, Outcome::TimedOut)?;
                Ok(LimitKept::SupervisorKilled)
            }
            Some(_) => Ok(LimitKept::AtWork),
        }
    }
}
