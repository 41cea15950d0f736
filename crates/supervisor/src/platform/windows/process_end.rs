//! How the main process of a job ended, and what the job has used.

use std::time::Duration;

use homing_core::{Outcome, Signal};

/// A main process that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Its process id.
    pub pid: u32,
    /// How it ended.
    pub end: ProcessEnd,
    /// Processor time of all processes of the job that was not reported before.
    pub cpu: Duration,
    /// The largest memory that one process of the job has committed, in bytes.
    pub peak_memory_bytes: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It exited with this code, from 0 to 4,294,967,295. The system uses codes too: see
    /// [`exit_code_name`](super::exit_code::exit_code_name).
    Exited(i64),
    /// Never on Windows.
    Signaled(i32),
}

impl From<ProcessEnd> for Outcome {
    fn from(end: ProcessEnd) -> Outcome {
        match end {
            ProcessEnd::Exited(exit_code) => Outcome::Exited { exit_code },
            ProcessEnd::Signaled(number) => Outcome::Signaled { signal: Signal::from_number(number) },
        }
    }
}
