//! opencode. Looked at: 1.18. It has no hooks that are programs; a plugin of ours calls, writes what it hears into the
//! session, and says when the agent has had it.

use serde_json::json;

use super::{Dialect, Moment, Proof, Waiting};

pub(super) const DIALECT: Dialect = Dialect {
    name: "opencode",
    moments: &[("session.idle", Moment::Stop), ("homing.shown", Moment::Shown)],
    waiting: Waiting::WhileHeard,
    proof: Proof::Said,
    introduces: false,
    answer: |_, _, telling| json!({"wake": telling.wake, "text": telling.text}),
};
