//! The tools, one per file: parse arguments, call the library, return an answer. Their names, parameters and descriptions
//! for models stand in `tools.json`. Every time has its unit in its name.

mod acknowledge_jobs;
mod kill_jobs;
mod list_jobs;
mod read_output;
mod run_command;
mod wait_for_jobs;

pub(super) use run_command::task_result;

use std::sync::{Arc, OnceLock};

use homing::{Error, JobIdPrefix};
use rmcp::model::{JsonObject, Tool};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{Answer, ToolError};
use super::arguments::Arguments;
use super::request::Request;

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    RunCommand,
    WaitForJobs,
    ReadOutput,
    ListJobs,
    KillJobs,
    AcknowledgeJobs,
}

/// A tool of earlier versions, which models still call: it waits for no time.
const GET_RESULT: &str = "get_result";

/// The argument of `list_jobs` that needs a server for all sessions.
const ALL_SESSIONS: &str = "all_sessions";

/// The argument of `run_command` that needs an executor of the configuration.
const ON: &str = "on";

/// Which tools and arguments a server offers.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Whether requests see the jobs of all sessions.
    pub(super) all_sessions: bool,
    /// Whether some sink needs explicit acknowledgements.
    pub(super) acknowledgements: bool,
    /// The names of the configured executors.
    pub(super) executors: Vec<String>,
}

impl Kind {
    /// In the order of `tools.json`.
    const ALL: [Kind; 6] = [
        Kind::RunCommand,
        Kind::WaitForJobs,
        Kind::ReadOutput,
        Kind::ListJobs,
        Kind::KillJobs,
        Kind::AcknowledgeJobs,
    ];

    /// Whether the tool launches jobs and therefore needs a home.
    pub(super) fn launches(self) -> bool {
        match self {
            Kind::RunCommand => true,
            Kind::WaitForJobs
            | Kind::ReadOutput
            | Kind::ListJobs
            | Kind::KillJobs
            | Kind::AcknowledgeJobs => false,
        }
    }

    /// Answers a call when the home does not exist.
    pub(super) fn call_without_home(self, arguments: Arguments) -> Result<Answer, ToolError> {
        if self == Kind::ListJobs {
            return arguments.parse().map(|_: list_jobs::Arguments| list_jobs::answer(&[], false));
        }
        let JobIds { job_ids } = arguments.parse()?;
        let Some(named) = job_ids.first() else {
            return Err(ToolError::arguments("job_ids is empty", "run_command launches jobs"));
        };
        let prefix: JobIdPrefix = named.trim().parse().map_err(Error::from)?;
        Err(Error::NoSuchJob(prefix.as_str().to_owned()).into())
    }

    /// Runs the tool.
    pub(super) async fn call(self, arguments: Arguments, request: &Request) -> Result<Answer, ToolError> {
        match self {
            Kind::RunCommand => run_command::call(arguments.parse()?, request).await,
            Kind::WaitForJobs => wait_for_jobs::call(arguments.parse()?, request).await,
            Kind::ReadOutput => read_output::call(arguments.parse()?, request).await,
            Kind::ListJobs => list_jobs::call(arguments.parse()?, request).await,
            Kind::KillJobs => kill_jobs::call(arguments.parse()?, request).await,
            Kind::AcknowledgeJobs => acknowledge_jobs::call(arguments.parse()?, request).await,
        }
    }

    fn tool(self) -> &'static Tool {
        let position = Kind::ALL.iter().position(|kind| *kind == self);
        &all()[position.expect("ALL contains every kind")]
    }
}

/// The jobs that a call names.
#[derive(Deserialize)]
struct JobIds {
    job_ids: Vec<String>,
}

/// All tools, also those that are not always listed.
pub(super) fn all() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(|| {
        serde_json::from_str(include_str!("../tools.json")).expect("the file in the source lists tools")
    })
}

/// The tools that a server lists.
pub(super) fn listed(offer: &Offer) -> Vec<Tool> {
    let is_offered = |kind: &Kind| offer.acknowledgements || *kind != Kind::AcknowledgeJobs;
    Kind::ALL.into_iter().filter(is_offered).map(|kind| shown(kind.tool().clone(), offer)).collect()
}

/// A tool with the arguments that a server offers.
fn shown(mut tool: Tool, offer: &Offer) -> Tool {
    let has = |schema: &JsonObject, name: &str| schema["properties"].get(name).is_some();
    if !has(&tool.input_schema, ALL_SESSIONS) && !has(&tool.input_schema, ON) {
        return tool;
    }
    let schema = Arc::make_mut(&mut tool.input_schema);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        if !offer.all_sessions {
            properties.remove(ALL_SESSIONS);
        }
        match properties.get_mut(ON) {
            Some(on) if !offer.executors.is_empty() => on["enum"] = offer.executors.clone().into(),
            Some(_) => drop(properties.remove(ON)),
            None => {}
        }
    }
    tool
}

/// The tool with this name, and its arguments under their own names; `None` if there is no such tool.
///
/// # Errors
/// If the arguments cannot name jobs.
pub(super) fn find(name: &str, arguments: JsonObject) -> Option<(Kind, Result<Arguments, ToolError>)> {
    let is_result = name == GET_RESULT;
    let name = if is_result { "wait_for_jobs" } else { name };
    let kind = Kind::ALL.into_iter().find(|kind| kind.tool().name == name)?;
    let mut arguments = Arguments::new(kind.tool(), arguments);
    if let (true, Ok(arguments)) = (is_result, &mut arguments) {
        arguments.set("wait_ms", 0.into());
    }
    Some((kind, arguments))
}
