//! The answer of a tool: text for the model, and facts about the jobs for programs, or a task.

use homing::core::text::{RESULT_LIMIT_CHARS, one_line};
use homing::{Error, Hint};
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, ErrorData, JsonObject, MetaObject, Task,
};

use super::facts::Facts;

/// Longest text of a tool, in characters. The rest of [`RESULT_LIMIT_CHARS`] is for the line about ignored arguments.
pub(super) const TEXT_LIMIT_CHARS: usize = RESULT_LIMIT_CHARS - 600;

/// The answer of a tool.
pub(super) enum Answer {
    /// A result.
    Done(CallToolResult),
    /// The job continues as a task.
    Task(Task),
}

impl Answer {
    /// Text for the model. The facts are in `_meta`, which clients do not show to their model.
    pub(super) fn new(text: String, facts: &Facts) -> Answer {
        Answer::Done(result(text, facts, false))
    }
}

/// Longest message and longest hint of an error, in characters.
const MAX_CHARS: usize = 2_000;

/// A result. `is_error` marks a failed command.
pub(super) fn result(text: String, facts: &Facts, is_error: bool) -> CallToolResult {
    debug_assert!(text.chars().count() <= TEXT_LIMIT_CHARS, "each tool keeps the limit: {text}");
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    let (name, value) = facts.entry();
    result.meta = Some(MetaObject(JsonObject::from_iter([(name.to_owned(), value)])));
    result.is_error = Some(is_error);
    result
}

/// Why a call failed.
pub(super) enum ToolError {
    /// The library returned an error.
    Library(Box<Error>),
    /// The arguments are invalid.
    Arguments {
        /// The error.
        message: String,
        /// A correction for the model.
        hint: String,
    },
    /// The client cancelled the request.
    Cancelled,
}

impl From<Error> for ToolError {
    fn from(error: Error) -> ToolError {
        ToolError::Library(Box::new(error))
    }
}

impl ToolError {
    pub(super) fn arguments(message: impl Into<String>, hint: impl Into<String>) -> ToolError {
        ToolError::Arguments { message: message.into(), hint: hint.into() }
    }

    /// The error as text that the model can act on.
    pub(super) fn text(&self) -> String {
        let (message, hint) = match self {
            ToolError::Library(error) => (error.to_string(), error.hint().as_ref().map(format_hint)),
            ToolError::Arguments { message, hint } => (message.clone(), Some(hint.clone())),
            ToolError::Cancelled => ("the request was cancelled; the job keeps running".to_owned(), None),
        };
        // Messages quote paths and arguments, which are untrusted.
        let message = one_line(&message, MAX_CHARS);
        match hint {
            Some(hint) => format!("error: {message}\nhint: {}", one_line(&hint, MAX_CHARS)),
            None => format!("error: {message}"),
        }
    }
}

/// Words a hint with tools and arguments in place of commands.
fn format_hint(hint: &Hint) -> String {
    match hint {
        Hint::ListJobs | Hint::UseJobId => "call list_jobs to see the jobs of this session".to_owned(),
        Hint::GiveExistingDirectory => {
            "give an existing directory as cwd, preferably an absolute path".to_owned()
        }
        Hint::UseOtherKey(_) => "give another homing/key in _meta, or omit it".to_owned(),
        Hint::GiveScript => "give a shell script as command".to_owned(),
        other => other.to_string(),
    }
}

/// Converts an answer into a response. A tool error is a result that the model reads. `ignored` is the line about ignored
/// arguments, or empty.
pub(super) fn respond(
    answer: Result<Answer, ToolError>,
    ignored: &str,
) -> Result<CallToolResponse, ErrorData> {
    let mut result = match answer {
        Ok(Answer::Done(result)) => result,
        Ok(Answer::Task(task)) => return Ok(CallToolResponse::Task(CreateTaskResult::new(task))),
        Err(error) => CallToolResult::error(vec![ContentBlock::text(error.text())]),
    };
    if let [ContentBlock::Text(text)] = &mut result.content[..] {
        text.text.insert_str(0, ignored);
    }
    Ok(CallToolResponse::Complete(result))
}
