//! Codex. Looked at: 0.169. It took its hooks from Claude Code. What a hook says that runs beside the session is only read
//! with the user's next message, so none waits here.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "codex",
    moments: &[("UserPromptSubmit", HookEvent::Prompt), ("Stop", HookEvent::Stop)],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    injects_session_hint: false,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
};
