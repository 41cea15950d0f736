//! The documents in a record: how a job started, and how it finished.

use std::time::Duration;

use homing_core::{Leftover, Outcome, Recovery, StartError};
use serde::{Deserialize, Serialize};

use crate::disk::run_by::RunBy;
use crate::disk::slots::{FINISHED, encode};
use crate::platform::ProcessIdentity;

/// Maximum length of a stored error, in bytes.
const MAX_ERROR_BYTES: usize = 400;

/// Maximum number of leftovers in a record.
pub(super) const MAX_LEFTOVERS: usize = 24;

/// The started slot. It is written before the command may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRecord {
    /// The job's main process.
    pub main: ProcessIdentity,
    /// The supervisor.
    pub supervisor: ProcessIdentity,
    /// The machine, boot, pid namespace and user of both processes, as seen by the supervisor.
    pub run_by: RunBy,
    /// When the main process was created: wall clock, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Inode of the output pipe. A process that has it open belongs to the job.
    pub output_pipe: u64,
    /// Inode of the pipe for standard error, if the two streams are kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_pipe: Option<u64>,
    /// The group of the process tree that the system ends as a whole, if there is one.
    #[serde(rename = "cgroup")]
    pub group: Option<String>,
    /// The outcome, decided before the tree is ended: `timed_out` or `killed`. It is the outcome even if the
    /// supervisor dies while it ends the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Outcome>,
    /// The systemd service whose end also ends this job, if the job could not get its own scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The end of the main process, set while the rest of the tree is still being ended.
    pub ended: Option<EndedRecord>,
}

/// The end of the main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRecord {
    /// How the job ended.
    pub outcome: Outcome,
    /// When it ended: wall clock, milliseconds since the epoch.
    pub ended_at_ms: i64,
    /// Milliseconds from start to end on a monotonic clock; `None` if one of the two was not observed.
    pub duration_ms: Option<u64>,
}

/// The finished slot. It is written when the job has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedRecord {
    /// How and when its main process ended.
    #[serde(flatten)]
    pub end: EndedRecord,
    /// Processor time in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Largest resident memory of one process in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Processes that survived the main process, as many as fit.
    pub leftovers: Vec<Leftover>,
    /// Number of further leftovers.
    pub leftovers_omitted: u32,
    /// Bytes the job has written.
    pub output_total_bytes: u64,
    /// Bytes that could not be stored.
    pub output_dropped_bytes: u64,
    /// What recovery must still do if the supervisor died. Never [`Recovery::NotRecorded`] on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

impl FinishedRecord {
    /// Creates a record with an outcome and an end time only.
    pub fn bare(outcome: Outcome, ended_at_ms: i64) -> FinishedRecord {
        FinishedRecord {
            end: EndedRecord { outcome, ended_at_ms, duration_ms: None },
            cpu_ms: None,
            peak_memory_bytes: None,
            leftovers: Vec::new(),
            leftovers_omitted: 0,
            output_total_bytes: 0,
            output_dropped_bytes: 0,
            recovery: None,
        }
    }

    /// Returns how long the main process ran.
    pub fn duration(&self) -> Option<Duration> {
        self.end.duration_ms.map(Duration::from_millis)
    }

    /// Returns the record, shortened to fit its slot. Counts the leftovers that were removed.
    pub(super) fn bounded(&self) -> FinishedRecord {
        let mut bounded = self.clone();
        if let Outcome::FailedToStart { error } = &mut bounded.end.outcome {
            *error = StartError { message: shortened(&error.message), errno: error.errno };
        }
        let fits = |record: &FinishedRecord| encode(&FINISHED, record).is_some();
        bounded.leftovers.truncate(MAX_LEFTOVERS);
        while !fits(&bounded) && bounded.leftovers.pop().is_some() {}
        let omitted = self.leftovers.len() - bounded.leftovers.len();
        bounded.leftovers_omitted += u32::try_from(omitted).unwrap_or(u32::MAX);
        bounded
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_ERROR_BYTES {
        return message.to_owned();
    }
    let mut end = MAX_ERROR_BYTES;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &message[..end])
}
