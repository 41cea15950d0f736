//! The tools, one per file: parse arguments, call the library, return an answer. Names and parameters are those that
//! models know from other harnesses. Every time has its unit in its name.

mod acknowledge_jobs;
mod get_result;
mod kill_jobs;
mod list_jobs;
mod read_output;
mod run_command;
mod schema;
mod wait_for_jobs;

pub(super) use run_command::task_result;

use std::sync::{Arc, OnceLock};

use homing::{Error, JobIdPrefix};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as JsonValue;

use super::answer::{Answer, ToolError};
use super::request::Request;

/// A tool.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    RunCommand,
    ReadOutput,
    WaitForJobs,
    GetResult,
    ListJobs,
    KillJobs,
    AcknowledgeJobs,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::RunCommand,
        Kind::ReadOutput,
        Kind::WaitForJobs,
        Kind::GetResult,
        Kind::ListJobs,
        Kind::KillJobs,
        Kind::AcknowledgeJobs,
    ];

    fn tool(self) -> Tool {
        match self {
            Kind::RunCommand => run_command::tool(),
            Kind::ReadOutput => read_output::tool(),
            Kind::WaitForJobs => wait_for_jobs::tool(),
            Kind::GetResult => get_result::tool(),
            Kind::ListJobs => list_jobs::tool(),
            Kind::KillJobs => kill_jobs::tool(),
            Kind::AcknowledgeJobs => acknowledge_jobs::tool(),
        }
    }

    /// Whether the tool launches jobs and therefore needs a home.
    pub(super) fn launches(self) -> bool {
        match self {
            Kind::RunCommand => true,
            Kind::ReadOutput
            | Kind::WaitForJobs
            | Kind::GetResult
            | Kind::ListJobs
            | Kind::KillJobs
            | Kind::AcknowledgeJobs => false,
        }
    }

    /// Answers a call when the home does not exist.
    pub(super) fn call_without_home(self, arguments: JsonObject) -> Result<Answer, ToolError> {
        if matches!(self, Kind::ListJobs) {
            return parse(arguments).map(|_: list_jobs::Arguments| list_jobs::answer(Vec::new(), false));
        }
        let named = arguments.get("job_id").or_else(|| arguments.get("job_ids")?.get(0));
        let named: String = match named.and_then(JsonValue::as_str) {
            Some(named) => named.trim().to_owned(),
            None => return Err(ToolError::arguments("no job id is given", "run_command launches jobs")),
        };
        let prefix: JobIdPrefix = named.parse().map_err(Error::from)?;
        Err(Error::NoSuchJob(prefix.as_str().to_owned()).into())
    }

    /// Runs the tool.
    pub(super) async fn call(self, arguments: JsonObject, request: &Request) -> Result<Answer, ToolError> {
        match self {
            Kind::RunCommand => run_command::call(parse(arguments)?, request).await,
            Kind::ReadOutput => read_output::call(parse(arguments)?, request).await,
            Kind::WaitForJobs => wait_for_jobs::call(parse(arguments)?, request).await,
            Kind::GetResult => get_result::call(parse(arguments)?, request).await,
            Kind::ListJobs => list_jobs::call(parse(arguments)?, request).await,
            Kind::KillJobs => kill_jobs::call(parse(arguments)?, request).await,
            Kind::AcknowledgeJobs => acknowledge_jobs::call(parse(arguments)?, request).await,
        }
    }
}

/// All tools, as clients see them.
pub(super) fn all() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| Kind::ALL.map(Kind::tool).into())
}

/// The tool with this name.
pub(super) fn find(name: &str) -> Option<Kind> {
    all().iter().position(|tool| tool.name == name).map(|position| Kind::ALL[position])
}

/// Defines a tool with its input and output schemas.
fn define<Input: JsonSchema + 'static, Output: JsonSchema + 'static>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    annotations: ToolAnnotations,
) -> Tool {
    let mut tool = Tool::new(name, description, JsonObject::new())
        .with_title(title)
        .with_input_schema::<Input>()
        .with_output_schema::<Output>()
        .with_annotations(annotations);
    tool.input_schema = Arc::new(schema::plain(&tool.input_schema));
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(schema::without_widths(&schema)));
    tool
}

/// Annotations of a tool that changes nothing.
fn read_only() -> ToolAnnotations {
    ToolAnnotations::new().read_only(true).destructive(false).idempotent(true).open_world(false)
}

/// Annotations of a tool that only acknowledges results.
fn acknowledges() -> ToolAnnotations {
    ToolAnnotations::new().read_only(false).destructive(false).idempotent(true).open_world(false)
}

fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, ToolError> {
    serde_path_to_error::deserialize(serde_json::Value::Object(arguments)).map_err(|error| {
        let place = error.path().to_string();
        let message = match place.as_str() {
            "." => format!("invalid arguments: {}", error.inner()),
            place => format!("invalid argument {place}: {}", error.inner()),
        };
        ToolError::arguments(message, "see the input schema of this tool; times are whole milliseconds")
    })
}

/// Checks the number of ids in an argument.
fn check_job_ids(job_ids: Vec<String>) -> Result<Vec<String>, ToolError> {
    const MAX_JOBS: usize = 20;
    match job_ids.len() {
        1..=MAX_JOBS => Ok(job_ids),
        0 => Err(ToolError::arguments("job_ids is empty", "call list_jobs to see the jobs of this session")),
        count => Err(ToolError::arguments(
            format!("job_ids has {count} ids"),
            format!("pass at most {MAX_JOBS} in one call"),
        )),
    }
}
