//! Cursor. From its documentation, 2026; not run. Its shell does not know which conversation it is in, and what the user
//! writes cannot be added to.

use serde_json::json;

use super::{Dialect, Moment, Proof, Waiting};

pub(super) const DIALECT: Dialect = Dialect {
    name: "cursor",
    moments: &[("sessionStart", Moment::Start), ("stop", Moment::Stop)],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    introduces: true,
    answer: |_, moment, telling| match moment {
        Moment::Stop => json!({"followup_message": telling.text}),
        Moment::Start | Moment::Open | Moment::Prompt | Moment::Shown => json!({
            "additional_context": telling.text,
            "env": {"HOMING_SESSION": telling.session, "HOMING_HARNESS": "cursor"},
        }),
    },
};
