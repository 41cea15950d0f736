//! Ends a supervisor that does not react, for example because it is stopped or traced. Decides the outcome before that.
//! The next observation recovers the job, as after any death of a supervisor.

use std::time::{Duration, Instant};

use homing_core::{JobId, LostReason, Outcome};
use homing_supervisor::layout::{Directory, RECORD, notify_change};
use homing_supervisor::platform::errors;
use homing_supervisor::platform::process::{self, Signal};
use homing_supervisor::{DiskError, Record, StartedRecord, end_orphans};

use crate::store::job_store::JobStore;
use crate::store::observe::{conclude, read_record};
use crate::{Error, Result};

/// How long a process may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

impl JobStore {
    /// Records why a job ends, unless its end is already recorded, and kills its supervisor.
    pub(super) fn end_from_outside(&self, id: JobId, started: &StartedRecord, why: Outcome) -> Result<()> {
        let supervisor = &started.supervisor;
        // Only the holder of the lock may write the record. A stopped holder does not write, and SIGKILL ends it without
        // continuing it.
        let stopped = supervisor.signal(Signal::Stop).is_ok() && stops(started);
        if stopped {
            self.record_reason(id, why)?;
        }
        match supervisor.signal(Signal::Kill) {
            Ok(()) => Ok(()),
            Err(error) if errors::is_no_such_process(&error) => Ok(()),
            Err(source) => Err(Error::CannotSignal { job: id, source }),
        }
    }

    fn record_reason(&self, id: JobId, why: Outcome) -> Result<(), DiskError> {
        let directory = self.home.jobs.open_job(id)?;
        let content = read_record(&directory)?;
        if let (Some(started), None) = (content.started.valid(), content.finished.valid())
            && started.decided.is_none()
            && started.ended.is_none()
        {
            let decided = StartedRecord { decided: Some(why), ..started.clone() };
            open_to_update(&directory)?
                .write_started(&decided)
                .map_err(|error| directory.error("write", RECORD, error))?;
        }
        Ok(())
    }

    /// Ends the remaining processes of a job and records its end while its killed supervisor still holds the lock. Such a
    /// supervisor does not exit, because its tracer is notified first and does not answer (`PTRACE_EVENT_EXIT`,
    /// ptrace(2)); it never writes again. Returns `false` if the supervisor was not killed.
    pub(super) fn conclude_for_doomed(&self, id: JobId, started: &StartedRecord) -> Result<bool, DiskError> {
        let is_doomed = process::stat(started.supervisor.pid)
            .is_some_and(|stat| stat.start_ticks == started.supervisor.start_ticks && stat.is_doomed());
        if !is_doomed {
            return Ok(false);
        }
        let directory = self.home.jobs.open_job(id)?;
        let content = read_record(&directory)?;
        let leftovers = end_orphans(id, started);
        if content.finished.valid().is_none() {
            let mut finished = conclude(&directory, content.started.valid(), LostReason::SupervisorDied)?;
            finished.leftovers = leftovers;
            open_to_update(&directory)?
                .write_finished(&finished)
                .map_err(|error| directory.error("write", RECORD, error))?;
            // If this fails, the next sync finds the record, because the job is unfinished in the ledger.
            let _ = notify_change(&self.home.inbox, id);
        }
        Ok(true)
    }
}

fn open_to_update(directory: &Directory) -> Result<Record, DiskError> {
    let missing = || directory.error("open", RECORD, errors::not_found());
    Record::open_to_update(directory)?.ok_or_else(missing)
}

/// Waits until a supervisor that received SIGSTOP has stopped or ended. Returns whether it has stopped.
fn stops(started: &StartedRecord) -> bool {
    let give_up_at = Instant::now() + STOP_TIMEOUT;
    loop {
        match process::stat(started.supervisor.pid) {
            Some(stat) if stat.start_ticks == started.supervisor.start_ticks && !stat.is_exiting() => {
                if stat.is_stopped() {
                    return true;
                }
            }
            Some(_) | None => return false,
        }
        if Instant::now() >= give_up_at {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
