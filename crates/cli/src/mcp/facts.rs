//! Facts about jobs for programs, in `_meta` of an answer. Clients do not show `_meta` to their model, so the text stays
//! short and is not repeated.

use homing::{Job, Outcome};
use serde::Serialize;
use serde_json::Value;

/// The facts of one answer.
pub(super) enum Facts {
    /// `"homing/job": {…}`, of tools about one job.
    Job(JobFacts),
    /// `"homing/jobs": […]`, of tools about several jobs.
    Jobs(Vec<JobFacts>),
}

/// Facts about one job.
#[derive(Serialize)]
pub(super) struct JobFacts {
    id: String,
    /// `starting`, `running` or `finished`.
    state: &'static str,
    /// `exited`, `signaled`, `timed_out`, `killed`, `failed_to_start` or `lost`; null if it has not finished.
    outcome: Option<&'static str>,
    /// Null if the job did not end by itself.
    exit_code: Option<i64>,
    /// Null if it has not finished.
    succeeded: Option<bool>,
    /// The offset at which output begins that the answer does not contain: `from_byte` of `read_output`.
    next_byte: u64,
}

impl JobFacts {
    /// Facts about a job of which the answer contains the output before `next_byte`.
    pub(super) fn new(job: &Job, next_byte: u64) -> JobFacts {
        let exit_code = match job.outcome() {
            Some(Outcome::Exited { exit_code }) => Some(*exit_code),
            Some(
                Outcome::Signaled { .. }
                | Outcome::TimedOut
                | Outcome::Killed { .. }
                | Outcome::FailedToStart { .. }
                | Outcome::Lost { .. },
            )
            | None => None,
        };
        JobFacts {
            id: job.id.to_string(),
            state: job.state.name().as_str(),
            outcome: job.outcome().map(Outcome::kind),
            exit_code,
            succeeded: job.outcome().map(Outcome::succeeded),
            next_byte,
        }
    }
}

impl Facts {
    /// Facts about jobs whose output the answer does not contain.
    pub(super) fn without_output(jobs: &[Job]) -> Facts {
        Facts::Jobs(jobs.iter().map(|job| JobFacts::new(job, 0)).collect())
    }

    /// The name and the value in `_meta`.
    pub(super) fn entry(&self) -> (&'static str, Value) {
        let (name, value) = match self {
            Facts::Job(job) => ("homing/job", serde_json::to_value(job)),
            Facts::Jobs(jobs) => ("homing/jobs", serde_json::to_value(jobs)),
        };
        (name, value.unwrap_or_default())
    }
}
