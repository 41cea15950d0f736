//! Enforces the timeouts of jobs whose supervisors are stopped or traced, with one timer for each running job that
//! has a timeout.

use std::time::{Duration, Instant};

use homing_core::JobId;

use super::active::Active;
use crate::Result;
use crate::store::kill::LimitKept;

/// The first and the longest pause between two checks of a job that exceeded its timeout.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Active<'_> {
    /// Sets the timer of a running job, once.
    pub(super) fn watch_limit(&mut self, job: JobId) {
        if self.limits.contains(&job) {
            return;
        }
        // A job that cannot be read now is checked again when it is imported.
        if let Ok(Some(left)) = self.context.store.limit_due_in(job) {
            self.limits.set(&job, Instant::now().checked_add(left));
        }
    }

    /// Ends jobs that exceeded their timeout and whose supervisor does not end them.
    pub(super) fn keep_limits(&mut self) -> Result<()> {
        for job in self.limits.take_due(Instant::now()) {
            let pause = match self.context.store.keep_limit(job) {
                Ok(LimitKept::NotNeeded) => {
                    self.overdue.remove(&job);
                    continue;
                }
                Ok(LimitKept::EnforcedBySupervisor) => {
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
