//! goose. From its documentation, 2026; not run. A hook can answer only the end of a turn.

use super::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};

pub(super) const PROTOCOL: HookProtocol = HookProtocol {
    name: "goose",
    events: &[("Stop", HookEvent::Stop)],
    waiting: Waiting::Never,
    proof: Proof::NextStop,
    injects_session_hint: false,
    answer: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
};
