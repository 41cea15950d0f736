//! Gemini CLI. Checked with 0.61. Its shell does not know its session.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "gemini",
    events: &[
        ("SessionStart", HookEvent::Start),
        ("BeforeAgent", HookEvent::Prompt),
        ("AfterAgent", HookEvent::Stop),
    ],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    injects_session_hint: true,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "deny"),
};
