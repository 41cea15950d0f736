//! opencode. Looked at: 1.18. It has no hooks that are programs; a plugin of ours calls, writes what it hears into the
//! session, and says when the agent has had it.

use serde_json::json;

use super::{HookEvent, HookProtocol, Proof, Waiting};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "opencode",
    moments: &[("session.idle", HookEvent::Stop), ("homing.shown", HookEvent::Shown)],
    waiting: Waiting::WhileHeard,
    proof: Proof::Said,
    injects_session_hint: false,
    answer: |_, _, message| json!({"wake": message.wake, "text": message.text}),
};
