//! The rules of a script, and a request to the model.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One rule of the script. The first matching rule applies; without one, the answer is "ok".
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// Text that the newest message must contain.
    #[serde(rename = "if")]
    pub contains: String,
    /// Required sender of that message; `None` for any sender.
    pub who: Option<Who>,
    /// The action of the model.
    #[serde(flatten)]
    pub action: Action,
}

/// The sender of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The user, or another sender with the user role.
    User,
    /// A tool that the model called.
    Tool,
}

/// The action of the model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Calls the shell tool of the harness.
    Shell(String),
    /// Calls a tool of an MCP server.
    Call {
        /// The name of the tool, without the prefix of the harness.
        tool: String,
        /// Its arguments. [`JOB_ID`] is replaced with the id that follows the word `Job` in the newest message.
        arguments: Value,
    },
    /// Answers with text, which ends the turn.
    Say(String),
}

impl Rule {
    /// Creates a rule: if a message from `who` contains this text, the model performs `action`.
    pub fn new(who: Who, contains: &str, action: Action) -> Rule {
        Rule { contains: contains.to_owned(), who: Some(who), action }
    }
}

/// Placeholder for the id of a job in [`Action::Call`].
pub const JOB_ID: &str = "JOB_ID";

/// One request to the model.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The sender of the newest message.
    pub who: Option<Who>,
    /// The newest message.
    pub text: String,
    /// All messages of the conversation, as JSON.
    pub conversation: String,
    /// The names of the available tools.
    pub tools: Vec<String>,
    /// What the model answered.
    pub answered: Answered,
    #[serde(skip)]
    pub(super) whole: Whole,
}

/// A whole request as JSON. Too long to be shown.
#[derive(Clone)]
pub(super) struct Whole(pub(super) String);

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Asked {
    /// Whether the request contains this text anywhere, also in the instructions of the system.
    pub fn contains(&self, text: &str) -> bool {
        self.whole.0.contains(text)
    }
}

/// An answer of the model.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answered {
    /// Text, which ends the turn.
    Said(String),
    /// A call of a tool.
    Called {
        /// Its name, as the harness has it.
        tool: String,
        /// Its arguments.
        arguments: Value,
    },
}
