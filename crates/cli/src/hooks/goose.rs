//! goose. From its documentation, 2026; not run. Only the end of a turn can be answered.

use super::{Dialect, Moment, Proof, Waiting, block_or_add};

pub(super) const DIALECT: Dialect = Dialect {
    name: "goose",
    moments: &[("Stop", Moment::Stop)],
    waiting: Waiting::Never,
    proof: Proof::NextStop,
    introduces: false,
    answer: |event, moment, telling| block_or_add(event, moment, telling, "block"),
};
