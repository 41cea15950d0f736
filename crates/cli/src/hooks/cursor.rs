//! Cursor. From its documentation, 2026; not run. Its shell does not know its conversation, and a hook cannot add to
//! a prompt of the user.

use serde_json::json;

use super::{HookEvent, HookProtocol, Proof, Waiting};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "cursor",
    events: &[("sessionStart", HookEvent::Start), ("stop", HookEvent::Stop)],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    injects_session_hint: true,
    answer: |_, event_kind, message| match event_kind {
        HookEvent::Stop => json!({"followup_message": message.text}),
        HookEvent::Start | HookEvent::Open | HookEvent::Prompt | HookEvent::Shown => json!({
            "additional_context": message.text,
            "env": {"HOMING_SESSION": message.session, "HOMING_HARNESS": "cursor"},
        }),
    },
};
