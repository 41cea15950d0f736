//! The hook protocol of a harness: the events at which it calls `homing hook`, and the answers that it reads.

use serde_json::{Value, json};

use super::hook_input::{HookInput, InputKeys};
use crate::Result;

/// The argument of a tool by which a hook or a plugin names the session, for harnesses whose requests over MCP do not. No
/// schema offers it to models.
pub const SESSION_ARGUMENT: &str = "homing_session";

/// The hook protocol of one harness.
#[derive(Clone, Copy, Debug)]
pub struct HookProtocol {
    /// Where the input of a hook has its values.
    pub(crate) input: InputKeys,
    /// The events at which it calls hooks.
    pub events: &'static [(&'static str, HookEvent)],
    /// Whether a hook may wait.
    pub waiting: Waiting,
    /// When a message counts as delivered.
    pub proof: Proof,
    /// Formats the answer.
    pub(crate) render: fn(event: &str, event_kind: HookEvent, message: &HookMessage<'_>) -> Value,
}

/// A point in the life of a session at which its harness calls a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookEvent {
    /// The session starts or is resumed. The hook tells the agent how to launch jobs.
    Start,
    /// The session is open and idle: a hook may start to wait.
    Open,
    /// The user has sent a prompt that the agent has not read yet.
    Prompt,
    /// The agent has ended its turn.
    Stop,
    /// The agent calls a tool of homing. The hook adds the session to the arguments.
    Tool,
    /// The plugin of homing reports that the agent has received a message.
    Seen,
}

/// Whether a hook may wait until a job finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// No: the harness waits for its hooks.
    Never,
    /// If the harness runs in a terminal, while it has the session open.
    WhileOpenInTerminal {
        /// How to recognize a session in a terminal.
        terminal: Terminal,
        /// The exit status with which standard error of the hook wakes the agent.
        exit_status: u8,
    },
    /// While the harness reads its output.
    WhileConnected,
}

/// The variable by which a harness tells its commands that it runs in a terminal, and its value there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// The variable.
    pub variable: &'static str,
    /// Its value in a terminal.
    pub value: &'static str,
}

/// The proof that an agent has received the message of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The transcript contains it. Without a transcript, as [`Proof::NextStop`].
    Transcript {
        /// The `type` of lines that are about queued messages, which the agent has not received yet.
        queue_entry: Option<&'static str>,
    },
    /// A turn has ended since. Only for harnesses that deliver no message in the middle of a turn.
    NextStop,
    /// The plugin of homing reports it.
    Plugin,
}

/// A message for the agent.
#[derive(Clone, Copy, Debug)]
pub struct HookMessage<'a> {
    /// The text.
    pub text: &'a str,
    /// The id of the wake, if the message is one.
    pub wake: Option<&'a str>,
    /// The session.
    pub session: &'a str,
    /// The arguments of the call, for [`HookEvent::Tool`].
    pub tool_input: Option<&'a Value>,
}

impl HookProtocol {
    /// Parses the input of a hook.
    ///
    /// # Errors
    /// If it is not JSON, or lacks a valid session id or an event.
    pub fn parse(&self, input: &[u8]) -> Result<HookInput> {
        self.input.parse(input)
    }

    /// The kind of an event; `None` for an event that homing ignores.
    pub fn event_kind(&self, event: &str) -> Option<HookEvent> {
        self.events.iter().find(|(name, _)| *name == event).map(|(_, event_kind)| *event_kind)
    }

    /// The output of a hook that makes the agent read a message: one line of JSON.
    pub fn answer(&self, event: &str, event_kind: HookEvent, message: &HookMessage<'_>) -> String {
        (self.render)(event, event_kind, message).to_string()
    }
}

/// The answer in the format of Claude Code, which others copied: a reason not to stop, or additional context. `block`
/// is the decision not to stop.
pub(super) fn block_or_add(
    event: &str,
    event_kind: HookEvent,
    message: &HookMessage<'_>,
    block: &str,
) -> Value {
    let text = message.text;
    match event_kind {
        HookEvent::Stop => json!({"decision": block, "reason": text}),
        HookEvent::Tool => {
            // Gemini CLI replaces the arguments, although its documentation says that it merges them.
            let mut arguments =
                message.tool_input.filter(|input| input.is_object()).cloned().unwrap_or(json!({}));
            arguments[SESSION_ARGUMENT] = message.session.into();
            json!({"hookSpecificOutput": {"hookEventName": event, "tool_input": arguments}})
        }
        HookEvent::Start | HookEvent::Open | HookEvent::Prompt | HookEvent::Seen => {
            json!({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})
        }
    }
}
