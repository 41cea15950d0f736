//! The actor that this process is in events.

use homing_core::{Actor, ActorKind};
use homing_supervisor::platform::user;

use crate::harness::origin::Origin;

/// The longest name of a program that is recorded, in characters.
const MAX_PROGRAM_CHARS: usize = 64;

/// This process, with the session that its environment names.
pub(crate) fn this_process() -> Actor {
    let mut actor = process_ids();
    actor.session = Origin::named(None).ok().flatten().map(|origin| origin.session);
    actor
}

/// As [`this_process`], as a monitor: it acts for no session.
pub(crate) fn this_monitor() -> Actor {
    let mut actor = process_ids();
    actor.kind = ActorKind::Monitor;
    actor
}

/// This process, without a session.
pub(crate) fn process_ids() -> Actor {
    let mut actor = Actor::of(ActorKind::Process);
    actor.uid = Some(user::effective_id());
    actor.pid = Some(std::process::id());
    actor.program = program();
    actor
}

/// The name of the program, as it was started.
fn program() -> Option<String> {
    let first = std::env::args_os().next()?;
    let name = std::path::Path::new(&first).file_name()?.to_string_lossy();
    Some(name.chars().take(MAX_PROGRAM_CHARS).collect())
}
