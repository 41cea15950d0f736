//! Claude Code. Looked at: 2.1.197. A hook with `asyncRewake` runs beside the session; where it exits with 2, what it wrote
//! on standard error wakes the agent. Without a terminal (`claude -p`) Claude Code waits for such a hook like for any other.

use super::{Dialect, Moment, Proof, Waiting, block_or_add};

/// Says how Claude Code was started; this is what it says in a terminal.
pub(crate) const ENTRYPOINT: (&str, &str) = ("CLAUDE_CODE_ENTRYPOINT", "cli");

pub(super) const DIALECT: Dialect = Dialect {
    name: "claude-code",
    moments: &[("SessionStart", Moment::Open), ("UserPromptSubmit", Moment::Prompt), ("Stop", Moment::Stop)],
    waiting: Waiting::WhileOpenInTerminal,
    proof: Proof::Transcript,
    introduces: false,
    answer: |event, moment, telling| block_or_add(event, moment, telling, "block"),
};
