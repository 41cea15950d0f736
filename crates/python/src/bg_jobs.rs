//! Functions for `homing.bg_jobs`: jobs as the dictionaries of its interface, and the import of finished jobs.

use std::path::PathBuf;
use std::time::Duration;

use homing::{
    Error, FinishedJob, FollowUpOptions, FollowUpState, Homing, Job, JobCommand, JobId, JobSpec, ListOptions,
    Outcome, StateName, Timeout,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors::Result;
use crate::home::Home;

/// Exit code of a job that did not exit by itself.
const NO_EXIT_CODE: i64 = -1;

/// A script to launch.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Script {
    command: String,
    session_id: String,
    cwd: Option<PathBuf>,
    timeout_ms: Option<u64>,
}

/// Launches a script for a session of the host. It does not belong to an agent harness, whatever the environment
/// says.
#[pyfunction]
pub(crate) fn bg_launch<'py>(py: Python<'py>, home: &Home, script: Script) -> Result<Bound<'py, PyDict>> {
    let limit =
        script.timeout_ms.map_or(Timeout::None, |millis| Timeout::After(Duration::from_millis(millis)));
    let command = JobCommand::script(script.command).map_err(Error::from)?;
    let mut spec = JobSpec::new(command).session(script.session_id.parse()?).timeout(limit);
    if let Some(cwd) = script.cwd {
        spec = spec.current_dir(cwd);
    }
    let job = py.detach(|| home.homing.launch(spec))?;
    Ok(record(py, &home.homing, &job)?)
}

/// The records of all jobs, or those of one session, in the order of launch; with `due`, only of finished jobs with a
/// pending follow-up.
#[pyfunction]
#[pyo3(signature = (home, *, session=None, due=false))]
pub(crate) fn bg_records<'py>(
    py: Python<'py>,
    home: &Home,
    session: Option<&str>,
    due: bool,
) -> Result<Bound<'py, PyList>> {
    let session = session.map(str::parse).transpose()?;
    let mut jobs = py.detach(|| {
        if due {
            let state = Some(FollowUpState::Pending);
            home.homing.follow_ups(&FollowUpOptions { session, state, ..FollowUpOptions::default() })
        } else {
            home.homing.list(&ListOptions { session, ..ListOptions::default() })
        }
    })?;
    jobs.reverse();
    let records = PyList::empty(py);
    for job in &jobs {
        records.append(record(py, &home.homing, job)?)?;
    }
    Ok(records)
}

/// The record of one job.
#[pyfunction]
pub(crate) fn bg_record<'py>(py: Python<'py>, home: &Home, id: &str) -> Result<Bound<'py, PyDict>> {
    let id: JobId = id.parse()?;
    let job = py.detach(|| home.homing.get(id))?;
    Ok(record(py, &home.homing, &job)?)
}

/// A finished job that another program ran.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Finished {
    id: String,
    session_id: String,
    command: String,
    cwd: PathBuf,
    pid: Option<u32>,
    started_at: f64,
    ended_at: f64,
    max_runtime_s: Option<f64>,
    /// Exit code as in the document `homing.job/1`, if there is one.
    exit_code: Option<i64>,
    timed_out: bool,
    killed: bool,
    log_path: Option<PathBuf>,
    acknowledged: bool,
}

impl Finished {
    fn into_job(self) -> Result<FinishedJob> {
        let outcome = match self.exit_code {
            _ if self.timed_out => Outcome::TimedOut,
            _ if self.killed => Outcome::Killed { by: homing::KilledBy::Session },
            Some(exit_code) => Outcome::Exited { exit_code },
            None => Outcome::Lost { reason: homing::core::LostReason::SupervisorDied },
        };
        Ok(FinishedJob {
            id: self.id.parse()?,
            session: self.session_id.parse()?,
            // It ran already, so the command need not be valid.
            command: JobCommand::Script(self.command),
            cwd: self.cwd,
            pid: self.pid,
            started_at: timestamp(self.started_at),
            ended_at: timestamp(self.ended_at),
            outcome,
            timeout: self.max_runtime_s.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            output: self.log_path,
            is_delivered: self.acknowledged,
        })
    }
}

/// Imports finished jobs. Returns the ids of the new ones.
#[pyfunction]
pub(crate) fn bg_import(py: Python<'_>, home: &Home, jobs: Vec<Finished>) -> Result<Vec<String>> {
    let jobs = jobs.into_iter().map(Finished::into_job).collect::<Result<Vec<_>>>()?;
    let new = py.detach(|| home.homing.import(&jobs))?;
    Ok(new.iter().map(JobId::to_string).collect())
}

fn record<'py>(py: Python<'py>, homing: &Homing, job: &Job) -> PyResult<Bound<'py, PyDict>> {
    let started = job.state.started();
    let started_at = started.map_or(job.created_at, |started| started.started_at);
    let finished = job.state.finished();
    let outcome = job.outcome();
    let directory = homing.job_path(job.id);
    let record = PyDict::new(py);
    record.set_item("id", job.id.as_str())?;
    record.set_item("session_id", job.session.as_str())?;
    record.set_item("command", job.command.to_string())?;
    record.set_item("status", status(outcome))?;
    record.set_item("pid", started.map(|started| started.pid))?;
    record.set_item("started_at", epoch(started_at))?;
    record.set_item("ended_at", finished.map(|finished| epoch(finished.ended_at)))?;
    record.set_item("exit_code", outcome.map(exit_code))?;
    set_limit(&record, job.limits.timeout)?;
    record.set_item("followed_up", is_followed_up(job))?;
    record.set_item("log_path", directory.join("output.log").as_os_str())?;
    record.set_item("exit_path", directory.join("exit").as_os_str())?;
    match outcome {
        None | Some(Outcome::Exited { .. }) => {}
        Some(Outcome::Signaled { signal }) => record.set_item("signal", signal.to_string())?,
        Some(Outcome::TimedOut) => record.set_item("timed_out", true)?,
        Some(Outcome::Killed { .. }) => record.set_item("killed", true)?,
        Some(Outcome::FailedToStart { error }) => record.set_item("error", error.to_string())?,
        Some(Outcome::Lost { .. }) => record.set_item("died", true)?,
    }
    Ok(record)
}

fn status(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        None => "running",
        Some(outcome) if outcome.succeeded() => "done",
        Some(_) => "failed",
    }
}

/// The exit code as a shell reports it; 128 plus the number for a signal.
fn exit_code(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Exited { exit_code } => *exit_code,
        Outcome::Signaled { signal } => 128 + i64::from(signal.number()),
        Outcome::TimedOut | Outcome::Killed { .. } | Outcome::FailedToStart { .. } | Outcome::Lost { .. } => {
            NO_EXIT_CODE
        }
    }
}

/// Sets the limit in seconds; as an integer if it is a whole number.
fn set_limit(record: &Bound<'_, PyDict>, limit: Option<Duration>) -> PyResult<()> {
    match limit {
        Some(limit) if limit.subsec_nanos() == 0 => record.set_item("max_runtime_s", limit.as_secs()),
        Some(limit) => record.set_item("max_runtime_s", limit.as_secs_f64()),
        None => record.set_item("max_runtime_s", f64::INFINITY),
    }
}

fn is_followed_up(job: &Job) -> bool {
    // True for a running job too, if its follow-up was dropped.
    job.state.name() == StateName::Finished && !job.follow_up.state.is_open()
        || job.follow_up.state == FollowUpState::Suppressed
}

/// Seconds since the epoch.
fn epoch(time: homing::core::Timestamp) -> f64 {
    time.as_unix_millis() as f64 / 1000.0
}

fn timestamp(seconds: f64) -> homing::core::Timestamp {
    homing::core::Timestamp::from_unix_millis((seconds * 1000.0).round() as i64)
}
