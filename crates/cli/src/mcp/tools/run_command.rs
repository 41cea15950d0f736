//! `run_command`: launches a job and waits for it for a limited time.

use std::path::PathBuf;
use std::time::Duration;

use homing::core::text::one_line;
use homing::{DeliveryHold, Error, Homing, Job, JobSpec, Outcome, ResultReader, Timeout, WaitFor};
use rmcp::model::{CallToolResult, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::advice::{Wake, advice, still_running, wake};
use super::super::answer::{Answer, ToolError, result};
use super::super::blocking::blocking;
use super::super::documents::JobDocument;
use super::super::http::TOKEN_VARIABLE;
use super::super::request::Request;
use super::super::tasks;
use super::super::waiting::wait;
use super::define;

/// Default time to wait: most clients abandon a call after a minute.
const DEFAULT_WAIT_MS: u64 = 30_000;

/// Longest time that a call waits for its job.
const MAX_WAIT_MS: u64 = 600_000;

/// Longest timeout: 30 days.
const MAX_TIMEOUT_MS: u64 = 30 * 86_400_000;

/// Longest warning in an answer, in characters.
const MAX_WARNING_CHARS: usize = 1_000;

/// The command and how long the call waits for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Arguments {
    /// Shell script (bash, else sh).
    command: String,
    /// Purpose in a few words, shown in lists.
    #[serde(default)]
    description: Option<String>,
    /// Makes the call repeatable: the same key and arguments return the existing job while it is kept.
    #[serde(default)]
    key: Option<String>,
    /// Directory to run in, best an absolute path. Default: the server's.
    #[serde(default)]
    cwd: Option<PathBuf>,
    /// Stop the job after this many ms. Default: 3600000 (1 hour) unless configured; the answer states it.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_TIMEOUT_MS))]
    timeout_ms: Option<u64>,
    /// Return at once; the job runs in the background. Default: false.
    #[serde(default)]
    run_in_background: bool,
    /// How long this call waits for the result, in ms. Never stops the job. Default: 30000.
    #[serde(default)]
    #[schemars(range(max = MAX_WAIT_MS))]
    wait_ms: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Document {
    /// Text for the model.
    text: String,
    /// Whether the job keeps running in the background.
    in_background: bool,
    /// Whether this session will be notified of the result, at the latest after it closes. If not, wait for the job.
    will_be_woken: bool,
    /// When the limit stops the job; null if it has finished or has no limit.
    ends_at: Option<String>,
    /// The job.
    job: JobDocument,
}

pub(super) fn tool() -> Tool {
    define::<Arguments, Document>(
        "run_command",
        "Run a command as a job",
        "Run a shell command as a job that survives this conversation, the client and this server. Use it for \
         builds, test suites, installs, downloads, training and servers; use your own shell for commands of a few \
         seconds. Returns the result if the command ends within wait_ms, else the id of the running job. The answer \
         says whether you will be notified: follow it.",
        ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true),
    )
}

pub(super) async fn call(arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
    let wait_limit = arguments.wait_limit()?;
    let has_key = arguments.key.is_some();
    let spec = arguments.into_spec(request)?;
    let homing = request.homing.clone();
    let launched = blocking(move || launch(&homing, spec, wait_limit.is_some())).await?;
    let Launched { job, hold, warning } = launched;
    // With a key, the job may be that of an earlier call.
    let is_finished = job.never_ran() || (has_key && job.outcome().is_some());
    let answer = if is_finished {
        answer_with_result(job.clone(), hold, request).await
    } else if let Some((at_most, hold)) = wait_limit.zip(hold) {
        wait_for_result(job.clone(), at_most, hold, warning, request).await
    } else {
        return Ok(background(job, warning, request).await);
    };
    match answer {
        // The job was launched: the model needs its id.
        Err(error @ ToolError::Library(_)) => {
            let warning = format!("Cannot wait for it: {}\n", error.text());
            Ok(background(job, Some(warning), request).await)
        }
        answer => answer,
    }
}

/// Waits for the result. If the time runs out, answers with a task or with the running job.
async fn wait_for_result(
    job: Job,
    at_most: Duration,
    hold: DeliveryHold,
    warning: Option<String>,
    request: &Request,
) -> Result<Answer, ToolError> {
    let waited = wait(request, vec![job.id], WaitFor::All, at_most).await?;
    match waited.jobs.into_iter().next() {
        Some(job) if waited.satisfied => answer_with_result(job, Some(hold), request).await,
        now if request.accepts_tasks => {
            tasks::hold_until_next_poll(hold);
            Ok(Answer::Task(tasks::of(&now.unwrap_or(job))))
        }
        now => Ok(background(now.unwrap_or(job), warning, request).await),
    }
}

impl Arguments {
    /// How long the call waits for the job; `None` if it returns at once.
    fn wait_limit(&self) -> Result<Option<Duration>, ToolError> {
        match (self.run_in_background, self.wait_ms) {
            (_, Some(wait_ms)) if wait_ms > MAX_WAIT_MS => Err(ToolError::arguments(
                format!("wait_ms is {wait_ms}"),
                format!("wait at most {MAX_WAIT_MS} milliseconds here, then call wait_for_jobs"),
            )),
            (true, _) => Ok(None),
            (false, wait_ms) => Ok(Some(Duration::from_millis(wait_ms.unwrap_or(DEFAULT_WAIT_MS)))),
        }
    }

    fn into_spec(self, request: &Request) -> Result<JobSpec, ToolError> {
        let mut spec = JobSpec::script(self.command)?.origin(request.origin.clone());
        // A user who added this server to a harness and configured nothing else wants its sessions to be notified.
        if let Some(preset) = request.homing.preset_unless_configured(&request.origin) {
            spec = spec.sink(preset);
        }
        if let Some(timeout_ms) = self.timeout_ms {
            if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
                return Err(ToolError::arguments(
                    format!("timeout_ms is {timeout_ms}"),
                    format!("give 1 to {MAX_TIMEOUT_MS} milliseconds, or leave it out"),
                ));
            }
            spec = spec.timeout(Timeout::After(Duration::from_millis(timeout_ms)));
        }
        if let Some(description) = self.description.filter(|text| !text.trim().is_empty()) {
            spec = spec.name(description);
        }
        if let Some(key) = self.key {
            spec = spec.key(key.parse().map_err(Error::from)?);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        // Keep the token of this server out of the environment of jobs.
        if std::env::var_os(TOKEN_VARIABLE).is_some() {
            spec = spec.env(TOKEN_VARIABLE, "");
        }
        Ok(spec)
    }
}

/// A job that was launched.
struct Launched {
    job: Job,
    hold: Option<DeliveryHold>,
    /// Why the session will not be notified of the result, although it should be.
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
        task_result(&homing, read).map(|result| (hold, result))
    })
    .await?;
    request.acknowledge_on_delivery(&[job], hold);
    Ok(Answer::Done(result))
}

/// The result of a finished job in the form of this tool. A failed command is a tool error (`isError`).
pub(in crate::mcp) fn task_result(homing: &Homing, job: Job) -> homing::Result<CallToolResult> {
    let text = homing.result_text(job.id)?;
    let failed = !job.outcome().is_some_and(Outcome::succeeded);
    let document =
        Document { text, in_background: false, will_be_woken: false, ends_at: None, job: JobDocument(job) };
    Ok(result(document.text.clone(), &document, failed))
}

/// The answer for a job that keeps running.
async fn background(job: Job, warning: Option<String>, request: &Request) -> Answer {
    let (homing, reader) = (request.homing.clone(), request.origin.clone());
    let (job, wake) = blocking(move || {
        let wake = wake(&homing, std::slice::from_ref(&job), &reader);
        (job, wake)
    })
    .await;
    let wake = if warning.is_none() { wake } else { Wake::Never };
    let advice = advice(wake, std::slice::from_ref(&job));
    let text = format!("{}\n{advice}\n{}", still_running(&job), warning.unwrap_or_default());
    let document = Document {
        text: text.clone(),
        in_background: true,
        will_be_woken: wake != Wake::Never,
        ends_at: job.ends_by().map(|time| time.to_string()),
        job: JobDocument(job),
    };
    Answer::new(text, &document)
}
