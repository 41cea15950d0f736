//! Codex. Checked with 0.169. Its hooks follow Claude Code. Codex reads the output of an asynchronous hook only with
//! the next message of the user, so no hook waits.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "codex",
    events: &[("UserPromptSubmit", HookEvent::Prompt), ("Stop", HookEvent::Stop)],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    injects_session_hint: false,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
};
