//! `run_command`: launches a job and waits for it for a limited time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use homing::core::text::one_line;
use homing::{DeliveryHold, Homing, Job, JobKey, JobSpec, Outcome, ResultReader, Timeout, WaitFor};
use rmcp::model::CallToolResult;
use serde::Deserialize;

use super::super::advice::{Moment, Wake, advice, wake};
use super::super::answer::{Answer, TEXT_LIMIT_CHARS, ToolError, result};
use super::super::facts::{Facts, JobFacts};
use super::super::request::Request;
use super::super::results::{Recent, finished_text, unfinished_text};
use super::super::tasks;
use super::super::waiting::wait;
use super::super::words::{RunningLine, running_line};
use crate::server::TOKEN_VARIABLE;
use crate::server::blocking;

/// Default time to wait: most clients abandon a call after a minute.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// Longest time that a call waits for its job. A longer wait ends after this time, and the job keeps running.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// The output so far of a job that keeps running.
const RECENT: Recent = Recent { lines: 20, chars: 2_000 };

/// Longest timeout: 30 days.
const MAX_KILL_AFTER_MS: u64 = 30 * 86_400_000;

/// Longest warning in an answer, in characters.
const MAX_WARNING_CHARS: usize = 1_000;

/// The command and how long the call waits for it.
#[derive(Deserialize)]
pub(in crate::mcp) struct Arguments {
    command: String,
    description: Option<String>,
    cwd: Option<PathBuf>,
    on: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    wait_ms: Option<u64>,
    #[serde(default)]
    run_in_background: bool,
    kill_after_ms: Option<u64>,
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let wait_limit = arguments.wait_limit();
    let timeout = arguments.timeout()?;
    let key = request.key()?;
    let has_key = key.is_some();
    let spec = arguments.into_spec(timeout, key, request)?;
    let homing = request.homing.clone();
    let launched = blocking(move || launch(&homing, spec, wait_limit.is_some())).await?;
    let Launched { job, hold, warning } = launched;
    let notes = Notes { is_capped: is_capped(request, timeout), warning };
    // With a key, the job may be that of an earlier call.
    let is_finished = job.never_ran() || (has_key && job.outcome().is_some());
    let answer = if is_finished {
        answer_with_result(job.clone(), hold, request).await
    } else if let Some((at_most, hold)) = wait_limit.zip(hold) {
        wait_for_result(job.clone(), at_most, hold, &notes, request).await
    } else {
        return Ok(background(job, &notes, request).await);
    };
    match answer {
        // The job was launched: the model needs its id.
        Err(error @ ToolError::Library(_)) => {
            let warning =
                Some(format!("Cannot wait for it: {}\n", one_line(&error.text(), MAX_WARNING_CHARS)));
            Ok(background(job, &Notes { warning, ..notes }, request).await)
        }
        answer => answer,
    }
}

/// What the answer says about a job that keeps running, besides its state.
#[derive(Clone)]
struct Notes {
    /// Whether the configuration allows no longer time limit.
    is_capped: bool,
    /// Why the session will not be notified of the result, although it should be.
    warning: Option<String>,
}

/// Waits for the result. If the time runs out, answers with a task or with the running job.
async fn wait_for_result(
    job: Job,
    at_most: Duration,
    hold: DeliveryHold,
    notes: &Notes,
    request: &Request,
) -> Result<Answer, ToolError> {
    let waited = wait(request, vec![job.id], WaitFor::All, at_most).await?;
    match waited.jobs.into_iter().next() {
        Some(job) if waited.satisfied => answer_with_result(job, Some(hold), request).await,
        now if request.accepts_tasks => {
            tasks::hold_until_next_poll(hold);
            Ok(Answer::Task(tasks::of(&now.unwrap_or(job))))
        }
        now => Ok(background(now.unwrap_or(job), notes, request).await),
    }
}

impl Arguments {
    /// How long the call waits for the job; `None` if it returns at once.
    fn wait_limit(&self) -> Option<Duration> {
        let wait = self.wait_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
        (!self.run_in_background).then(|| wait.min(MAX_WAIT))
    }

    fn timeout(&self) -> Result<Timeout, ToolError> {
        match self.kill_after_ms {
            None => Ok(Timeout::Configured),
            Some(0) => Ok(Timeout::None),
            Some(millis @ 1..=MAX_KILL_AFTER_MS) => Ok(Timeout::After(Duration::from_millis(millis))),
            Some(millis) => Err(ToolError::arguments(
                format!("kill_after_ms is {millis}"),
                format!("give at most {MAX_KILL_AFTER_MS} milliseconds, or 0 for no limit"),
            )),
        }
    }

    fn into_spec(
        self,
        timeout: Timeout,
        key: Option<JobKey>,
        request: &Request,
    ) -> Result<JobSpec, ToolError> {
        let mut spec = JobSpec::script(self.command)?.origin(request.origin.clone()).timeout(timeout);
        // A user who added this server to a harness and configured nothing else wants its sessions to be notified.
        if let Some(preset) = request.homing.preset_unless_configured(&request.origin) {
            spec = spec.sink(preset);
        }
        if let Some(description) = self.description.filter(|text| !text.trim().is_empty()) {
            spec = spec.name(description);
        }
        if let Some(key) = key {
            spec = spec.key(key);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        for (name, value) in self.env {
            spec = spec.env(name, value);
        }
        match self.on {
            // Its environment is another one.
            Some(executor) => spec = spec.on(executor),
            // Keep the token of this server out of the environment of jobs.
            None if std::env::var_os(TOKEN_VARIABLE).is_some() => spec = spec.env(TOKEN_VARIABLE, ""),
            None => {}
        }
        Ok(spec)
    }
}

/// Whether the configuration shortens the time limit that a call asks for.
fn is_capped(request: &Request, timeout: Timeout) -> bool {
    let config = request.homing.config();
    let requested = match timeout {
        Timeout::Configured => config.defaults.timeout,
        Timeout::None => None,
        Timeout::After(timeout) => Some(timeout),
    };
    config.limits.clamp(requested) != requested
}

/// A job that was launched.
struct Launched {
    job: Job,
    hold: Option<DeliveryHold>,
    warning: Option<String>,
}

/// Launches the job, and starts a monitor if one is needed to notify its session.
fn launch(homing: &Homing, spec: JobSpec, waits: bool) -> homing::Result<Launched> {
    let job = homing.launch(spec)?;
    let reader = if waits || job.never_ran() { ResultReader::Caller } else { ResultReader::Session };
    let delivery = homing.arrange_delivery(&job, reader);
    let warning = delivery.problem.map(|problem| {
        let why = one_line(&problem.to_string(), MAX_WARNING_CHARS);
        format!("Cannot start a monitor to notify you: {why}\n")
    });
    Ok(Launched { job, hold: delivery.hold, warning })
}

/// The answer for a finished job.
async fn answer_with_result(
    job: Job,
    hold: Option<DeliveryHold>,
    request: &Request,
) -> Result<Answer, ToolError> {
    let homing = request.homing.clone();
    let (session, read) = (request.origin.session.clone(), job.clone());
    let (hold, result) = blocking(move || {
        let hold = hold.unwrap_or_else(|| homing.hold_delivery(&[read.id], &session));
        task_result(&homing, &read).map(|result| (hold, result))
    })
    .await?;
    request.acknowledge_on_delivery(&[job], hold);
    Ok(Answer::Done(result))
}

/// The result of a finished job in the form of this tool. A failed command is a tool error (`isError`).
pub(in crate::mcp) fn task_result(homing: &Homing, job: &Job) -> homing::Result<CallToolResult> {
    let text = finished_text(homing, job, false, TEXT_LIMIT_CHARS)?;
    let failed = !job.outcome().is_some_and(Outcome::succeeded);
    Ok(result(text, &Facts::Job(JobFacts::new(job, job.output.total_bytes)), failed))
}

/// The answer for a job that keeps running: its state, its last output, and whether the session is notified.
async fn background(job: Job, notes: &Notes, request: &Request) -> Answer {
    let (homing, reader, notes) = (request.homing.clone(), request.origin.clone(), notes.clone());
    blocking(move || {
        let jobs = std::slice::from_ref(&job);
        let line = RunningLine { is_capped: notes.is_capped, ..RunningLine::default() };
        let (mut text, next_byte) = match unfinished_text(&homing, &job, line, RECENT) {
            Ok(unfinished) => (unfinished.text, unfinished.next_byte),
            // The model needs the id, even if the output cannot be read.
            Err(_) => (running_line(&job, line), 0),
        };
        let wake = match &notes.warning {
            Some(warning) => {
                text += warning;
                Wake::Never
            }
            None => wake(&homing, jobs, &reader),
        };
        text += &advice(wake, Moment::Running, jobs);
        Answer::new(text, &Facts::Job(JobFacts::new(&job, next_byte)))
    })
    .await
}
