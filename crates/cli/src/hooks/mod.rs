//! The hook protocols of agent harnesses: their input and the output that they expect, one harness per file. Does not
//! access jobs.

mod claude_code;
mod codex;
mod cursor;
mod disconnect;
mod gemini;
mod goose;
mod input;
mod opencode;
mod seen;

pub(crate) use claude_code::ENTRYPOINT as CLAUDE_CODE_ENTRYPOINT;
pub(crate) use disconnect::end_when_nobody_listens;
pub(crate) use input::{HookInput, read_input};
pub(crate) use seen::is_shown;

use serde_json::Value;

/// A point in the life of a session at which its harness calls a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookEvent {
    /// The session starts or is resumed. The hook tells the agent how to launch jobs.
    Start,
    /// The session is open and idle: a hook may start to wait.
    Open,
    /// The user has sent a prompt that the agent has not read yet.
    Prompt,
    /// The agent has ended its turn.
    Stop,
    /// The plugin of homing reports that the agent has received a message.
    Shown,
}

/// Whether a hook may wait until a job finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// No: the harness waits for its hooks.
    Never,
    /// If the harness runs in a terminal, while it has the session open.
    WhileOpenInTerminal,
    /// While the harness reads its output.
    WhileHeard,
}

/// What proves that an agent has received the message of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The transcript contains it. Without a transcript, as [`Proof::NextStop`].
    Transcript,
    /// A turn has ended since. Only for harnesses that deliver no message in the middle of a turn.
    NextStop,
    /// The plugin of homing reports it.
    Plugin,
}

/// The hook protocol of one harness.
#[derive(Debug)]
pub(crate) struct HookProtocol {
    /// The name of the harness and of its preset.
    pub(crate) name: &'static str,
    /// The events at which it calls hooks.
    pub(crate) events: &'static [(&'static str, HookEvent)],
    /// Whether a hook may wait.
    pub(crate) waiting: Waiting,
    /// When a message counts as delivered.
    pub(crate) proof: Proof,
    /// Whether the agent must be told its session id, because its shell does not know it.
    pub(crate) injects_session_hint: bool,
    /// The output that makes the agent read a message.
    pub(crate) answer: fn(event: &str, event_kind: HookEvent, text: &HookMessage<'_>) -> Value,
}

/// A message for the agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookMessage<'a> {
    pub(crate) text: &'a str,
    /// The id of the wake, if the message is one.
    pub(crate) wake: Option<&'a str>,
    pub(crate) session: &'a str,
}

const PROTOCOLS: [&HookProtocol; 6] = [
    &claude_code::PROTOCOL,
    &codex::PROTOCOL,
    &cursor::PROTOCOL,
    &gemini::PROTOCOL,
    &goose::PROTOCOL,
    &opencode::PROTOCOL,
];

impl HookProtocol {
    /// The protocol of this harness.
    pub(crate) fn named(name: &str) -> Option<&'static HookProtocol> {
        PROTOCOLS.into_iter().find(|protocol| protocol.name == name)
    }

    /// The names of all harnesses.
    pub(crate) fn names() -> Vec<&'static str> {
        PROTOCOLS.iter().map(|protocol| protocol.name).collect()
    }

    /// The kind of an event; `None` for an event that homing ignores.
    pub(crate) fn event_kind(&self, event: &str) -> Option<HookEvent> {
        self.events.iter().find(|(name, _)| *name == event).map(|(_, event_kind)| *event_kind)
    }
}

/// The output format of Claude Code, which others copied: a reason not to stop, or additional context.
fn block_or_add(event: &str, event_kind: HookEvent, message: &HookMessage<'_>, block: &str) -> Value {
    let text = message.text;
    match event_kind {
        HookEvent::Stop => serde_json::json!({"decision": block, "reason": text}),
        HookEvent::Start | HookEvent::Open | HookEvent::Prompt | HookEvent::Shown => {
            serde_json::json!({"hookSpecificOutput": {"hookEventName": event, "additionalContext": text}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_harness_gets_output_in_its_own_format() {
        let message = HookMessage { text: "TEXT", wake: Some("w_1"), session: "S" };
        let mut answers = String::new();
        for protocol in PROTOCOLS {
            for (event, event_kind) in protocol.events {
                let answer = (protocol.answer)(event, *event_kind, &message);
                answers += &format!("{} {event}: {answer}\n", protocol.name);
            }
        }
        insta::assert_snapshot!(answers, @r#"
        claude-code SessionStart: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"SessionStart"}}
        claude-code UserPromptSubmit: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"UserPromptSubmit"}}
        claude-code Stop: {"decision":"block","reason":"TEXT"}
        codex UserPromptSubmit: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"UserPromptSubmit"}}
        codex Stop: {"decision":"block","reason":"TEXT"}
        cursor sessionStart: {"additional_context":"TEXT","env":{"HOMING_HARNESS":"cursor","HOMING_SESSION":"S"}}
        cursor stop: {"followup_message":"TEXT"}
        gemini SessionStart: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"SessionStart"}}
        gemini BeforeAgent: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"BeforeAgent"}}
        gemini AfterAgent: {"decision":"deny","reason":"TEXT"}
        goose Stop: {"decision":"block","reason":"TEXT"}
        opencode session.idle: {"text":"TEXT","wake":"w_1"}
        opencode homing.shown: {"text":"TEXT","wake":"w_1"}
        "#);
    }
}
