//! How the active monitor keeps the limits of jobs whose supervisors are stopped or traced: one timer for each running
//! job that has a limit, and nothing else.

use std::time::{Duration, Instant};

use homing_core::JobId;

use super::active::Active;
use crate::Result;
use crate::store::kill::LimitKept;

/// When a supervisor that was killed, or that works although the limit is over, is looked at again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Active<'_> {
    /// Sets the timer of a job that runs, once.
    pub(super) fn watch_limit(&mut self, job: JobId) {
        if self.limits.contains(&job) {
            return;
        }
        // What cannot be read now is looked at again when it is taken in.
        if let Ok(Some(left)) = self.homing.limit_due_in(job) {
            self.limits.set(&job, Instant::now().checked_add(left));
        }
    }

    /// Ends the jobs whose limit is over and whose supervisor does not do that.
    pub(super) fn keep_limits(&mut self) -> Result<()> {
        for job in self.limits.take_due(Instant::now()) {
            let pause = match self.homing.keep_limit(job) {
                Ok(LimitKept::NotNeeded) => {
                    self.overdue.remove(&job);
                    continue;
                }
                Ok(LimitKept::AtWork) => {
                    let pause = self.overdue.get(&job).map_or(PAUSES.0, |pause| (*pause * 2).min(PAUSES.1));
                    self.overdue.insert(job, pause);
                    pause
                }
                Ok(LimitKept::SupervisorKilled) => {
                    if !self.overdue.contains_key(&job) {
                        self.warn(&format!(
                            "job {job} exceeded its timeout while its supervisor is stopped or traced; the monitor ended it"
                        ));
                        self.overdue.insert(job, PAUSES.0);
                    }
                    self.jobs.set(&job, Some(Instant::now()));
                    PAUSES.0
                }
                Err(error) => {
                    self.warn(&format!("cannot enforce the timeout of job {job}: {error}"));
                    PAUSES.1
                }
            };
            self.limits.set(&job, Some(Instant::now() + pause));
        }
        Ok(())
    }
}
