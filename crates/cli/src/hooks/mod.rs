//! What agent harnesses say to their hooks, and what they want to hear: one harness a file, the same few moments for all
//! of them. Nothing here knows of jobs.

mod claude_code;
mod codex;
mod cursor;
mod gemini;
mod goose;
mod hang_up;
mod input;
mod opencode;
mod seen;

pub(crate) use claude_code::ENTRYPOINT as CLAUDE_CODE_ENTRYPOINT;
pub(crate) use hang_up::end_when_nobody_listens;
pub(crate) use input::{HookInput, read_input};
pub(crate) use seen::is_shown;

use serde_json::Value;

/// A point in the life of a session at which its harness calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookEvent {
    /// The session begins, or is resumed, and the agent is told how to launch jobs.
    Start,
    /// The session is open, and nobody has said anything: a hook may begin to wait.
    Open,
    /// The user has written something, and the agent has not read it yet.
    Prompt,
    /// The agent has ended its turn.
    Stop,
    /// Our own plugin says that the agent has had what it was to be shown.
    Shown,
}

/// When a hook may stay until a job is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The harness would wait for it.
    Never,
    /// Where the harness says that it runs in a terminal, and as long as it has the session open.
    WhileOpenInTerminal,
    /// As long as somebody listens.
    WhileHeard,
}

/// What proves that an agent has had what a hook gave to its harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The transcript that the harness names shows it. Where it names none, as [`Proof::NextStop`].
    Transcript,
    /// A turn has ended since. Only where nobody gives it anything in the middle of a turn.
    NextStop,
    /// Our own plugin says so.
    Said,
}

/// How one harness speaks.
#[derive(Debug)]
pub(crate) struct HookProtocol {
    /// The harness, by the name of its preset.
    pub(crate) name: &'static str,
    /// The events at which its hooks are called.
    pub(crate) moments: &'static [(&'static str, HookEvent)],
    /// Whether a hook may stay.
    pub(crate) waiting: Waiting,
    /// When something counts as told.
    pub(crate) proof: Proof,
    /// Whether its shell does not know which session it is in, so that the agent has to be told.
    pub(crate) injects_session_hint: bool,
    /// What to say at an event so that the agent reads a text.
    pub(crate) answer: fn(event: &str, event_kind: HookEvent, text: &HookMessage<'_>) -> Value,
}

/// What the agent is to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookMessage<'a> {
    pub(crate) text: &'a str,
    /// The wake it is, where it is one.
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
    /// The one of that harness.
    pub(crate) fn named(name: &str) -> Option<&'static HookProtocol> {
        PROTOCOLS.into_iter().find(|protocol| protocol.name == name)
    }

    /// The names of all.
    pub(crate) fn names() -> Vec<&'static str> {
        PROTOCOLS.iter().map(|protocol| protocol.name).collect()
    }

    /// Which moment an event is; `None` for those that say nothing to us.
    pub(crate) fn event_kind(&self, event: &str) -> Option<HookEvent> {
        self.moments.iter().find(|(name, _)| *name == event).map(|(_, event_kind)| *event_kind)
    }
}

/// The answer that Claude Code made known and others copied: a reason not to stop, or more context.
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
    fn every_harness_is_answered_in_its_own_words() {
        let message = HookMessage { text: "TEXT", wake: Some("w_1"), session: "S" };
        let mut said = String::new();
        for protocol in PROTOCOLS {
            for (event, event_kind) in protocol.moments {
                let answer = (protocol.answer)(event, *event_kind, &message);
                said += &format!("{} {event}: {answer}\n", protocol.name);
            }
        }
        insta::assert_snapshot!(said, @r#"
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
