//! opencode. Checked with 1.18. It does not run programs as hooks. The plugin of homing calls `homing hook`, writes
//! the message into the session, and confirms the delivery.

use serde_json::json;

use super::{HookEvent, HookProtocol, Proof, Waiting};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "opencode",
    events: &[("session.idle", HookEvent::Stop), ("homing.shown", HookEvent::Shown)],
    waiting: Waiting::WhileHeard,
    proof: Proof::Plugin,
    injects_session_hint: false,
    answer: |_, _, message| json!({"wake": message.wake, "text": message.text}),
};
