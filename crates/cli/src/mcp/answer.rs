//! The answer of a tool: text for the model with the same content as a document for programs, or a task.

use homing::core::text::{RESULT_LIMIT_CHARS, one_line};
use homing::{Error, Hint};
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult, ErrorData, Task};
use serde::Serialize;
use serde_json::Value;

/// The answer of a tool.
pub(super) enum Answer {
    /// A result.
    Done(CallToolResult),
    /// The job continues as a task.
    Task(Task),
}

impl Answer {
    /// Text for the model and a document that contains it. Clients show one or the other, so each is complete.
    pub(super) fn new(text: String, document: &impl Serialize) -> Answer {
        Answer::Done(result(text, document, false))
    }
}

/// Longest message and longest hint of an error, in characters.
const MAX_CHARS: usize = 2_000;

/// A result. `is_error` marks a failed command.
pub(super) fn result(text: String, document: &impl Serialize, is_error: bool) -> CallToolResult {
    debug_assert!(text.chars().count() <= RESULT_LIMIT_CHARS, "each tool keeps the limit: {text}");
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    // If the document cannot be serialized, the text remains.
    result.structured_content = serde_json::to_value(document).ok();
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
        Hint::UseOtherKey(_) => "give another key or omit it".to_owned(),
        Hint::GiveScript => "give a shell script as command".to_owned(),
        other => other.to_string(),
    }
}

/// Converts an answer into a response. A tool error is a result that the model reads.
pub(super) fn respond(answer: Result<Answer, ToolError>) -> Result<CallToolResponse, ErrorData> {
    match answer {
        Ok(Answer::Done(result)) => Ok(CallToolResponse::Complete(result)),
        Ok(Answer::Task(task)) => Ok(CallToolResponse::Task(CreateTaskResult::new(task))),
        Err(error) => {
            Ok(CallToolResponse::Complete(CallToolResult::error(vec![ContentBlock::text(error.text())])))
        }
    }
}

/// Serializes a value.
pub(super) fn document(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
