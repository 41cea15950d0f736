//! Codex. Looked at: 0.169. It took its hooks from Claude Code. What a hook says that runs beside the session is only read
//! with the user's next message, so none waits here.

use super::{Dialect, Moment, Proof, Waiting, block_or_add};

pub(super) const DIALECT: Dialect = Dialect {
    name: "codex",
    moments: &[("UserPromptSubmit", Moment::Prompt), ("Stop", Moment::Stop)],
    waiting: Waiting::Never,
    proof: Proof::Transcript,
    introduces: false,
    answer: |event, moment, telling| block_or_add(event, moment, telling, "block"),
};
