//! Gemini CLI. Looked at: 0.61. Its shell does not know which session it is in.

use super::{Dialect, Moment, Proof, Waiting, block_or_add};

pub(super) const DIALECT: Dialect = Dialect {
    name: "gemini",
    moments: &[
        ("SessionStart", Moment::Start),
        ("BeforeAgent", Moment::Prompt),
        ("AfterAgent", Moment::Stop),
    ],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    introduces: true,
    answer: |event, moment, telling| block_or_add(event, moment, telling, "deny"),
};
