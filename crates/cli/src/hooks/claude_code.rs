//! Claude Code. Checked with 2.1.197. A hook with `asyncRewake` runs beside the session. If it exits with 2, its
//! standard error wakes the agent. Without a terminal (`claude -p`), Claude Code waits for such a hook as for any
//! other.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

/// The variable that states how Claude Code was started, and its value in a terminal.
pub(crate) const ENTRYPOINT: (&str, &str) = ("CLAUDE_CODE_ENTRYPOINT", "cli");

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "claude-code",
    events: &[
        ("SessionStart", HookEvent::Open),
        ("UserPromptSubmit", HookEvent::Prompt),
        ("Stop", HookEvent::Stop),
    ],
    waiting: Waiting::WhileOpenInTerminal,
    proof: Proof::Transcript,
    injects_session_hint: false,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
};
