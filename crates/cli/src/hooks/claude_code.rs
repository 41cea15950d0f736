//! Claude Code. Looked at: 2.1.197. A hook with `asyncRewake` runs beside the session; where it exits with 2, what it wrote
//! on standard error wakes the agent. Without a terminal (`claude -p`) Claude Code waits for such a hook like for any other.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

/// Says how Claude Code was started; this is what it says in a terminal.
pub(crate) const ENTRYPOINT: (&str, &str) = ("CLAUDE_CODE_ENTRYPOINT", "cli");

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "claude-code",
    moments: &[
        ("SessionStart", HookEvent::Open),
        ("UserPromptSubmit", HookEvent::Prompt),
        ("Stop", HookEvent::Stop),
    ],
    waiting: Waiting::WhileOpenInTerminal,
    proof: Proof::Transcript,
    injects_session_hint: false,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
};
