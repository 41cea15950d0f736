//! What the processes of a running job use now.

use homing_core::{JobId, Timestamp};
use homing_supervisor::usage_below;
use serde::Serialize;

use crate::Result;
use crate::context::Context;
use crate::store::observe::{record_of, runs_here};

/// What all processes of a running job use at one moment. See [`Homing::usage`](crate::Homing::usage).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobUsage {
    /// When they were looked at, by the wall clock.
    pub sampled_at: Timestamp,
    /// Processor time since the job started, in milliseconds. On Windows without that of processes that have ended.
    pub cpu_ms: u64,
    /// Memory in RAM, in bytes. Memory that processes share counts in each of them.
    pub memory_bytes: u64,
    /// The number of processes. Jobs that the job launched do not count.
    pub processes: u32,
}

impl Context {
    /// Adds up the processes of a job; `None` if it does not run, or not where this process can see it.
    pub(crate) fn usage(&self, id: JobId) -> Result<Option<JobUsage>> {
        let record = record_of(&self.store.home.jobs, id);
        let Some((directory, content)) = record else { return self.get(id).map(|_| None) };
        let Some(started) = content.started.valid().filter(|_| content.finished.valid().is_none()) else {
            return Ok(None);
        };
        if !runs_here(&directory, started, self.store.here()?)? {
            return Ok(None);
        }
        let sampled_at = self.store.now();
        Ok(usage_below(started.supervisor.pid).map(|used| JobUsage {
            sampled_at,
            cpu_ms: u64::try_from(used.cpu.as_millis()).unwrap_or(u64::MAX),
            memory_bytes: used.memory_bytes,
            processes: used.processes,
        }))
    }
}
