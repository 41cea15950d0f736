//! The known harnesses.

use std::collections::BTreeSet;

use homing_core::text::WakeFormat;
use homing_core::{Delivery, Wake};

use super::active_session::process_of;
use super::codex::{MessageState, QueuedMessage};
use super::paths::Paths;
use super::profile::{Profile, ShellSession};

/// Every profile, one line each, in the order in which `homing setup --help` lists them.
static PROFILES: [&Profile; 9] = [
    &super::claude_code::PROFILE,
    &super::codex::PROFILE,
    &super::gemini::PROFILE,
    &super::opencode::PROFILE,
    &super::goose::PROFILE,
    &super::cursor::PROFILE,
    &super::copilot::PROFILE,
    &super::letta::PROFILE,
    &super::openhands::PROFILE,
];

impl Profile {
    /// Every profile.
    pub fn all() -> impl Iterator<Item = &'static Profile> {
        PROFILES.into_iter()
    }

    /// The profile of the harness with this name.
    pub fn named(name: &str) -> Option<&'static Profile> {
        Profile::all().find(|profile| profile.name == name)
    }
}

/// The names of all presets, sorted.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    let mut names = PROFILES.map(|profile| profile.name);
    names.sort_unstable();
    names.into_iter()
}

/// The text format of a preset; `None` if the preset is unknown.
pub(crate) fn preset_format(name: &str) -> Option<WakeFormat> {
    Profile::named(name).map(|profile| profile.preset().format)
}

/// The error message for an unknown preset.
pub(crate) fn unknown_preset(name: &str) -> String {
    format!("unknown preset {name:?}; known presets: {}", preset_names().collect::<Vec<_>>().join(", "))
}

/// The process of a harness that has a session open. `None` if there is none, or if the harness does not record it.
pub(crate) fn open_in(harness: &str, session: &str) -> Option<u32> {
    let files = Profile::named(harness)?.preset().active_session.as_ref()?;
    process_of(files, session, &Paths::from_environment())
}

/// Whether a wake has been put into the queue of its harness: it waits there, or the agent has it.
pub(crate) fn has_queued(harness: &str, session: &str, wake: &Wake) -> bool {
    let Some(queue) = Profile::named(harness).and_then(|profile| profile.preset().queue.as_ref()) else {
        return false;
    };
    let paths = Paths::from_environment();
    let message = QueuedMessage::find(queue, session, wake.id.to_string(), &wake.content.text, &paths);
    match message.and_then(|mut message| message.observe()) {
        Ok(MessageState::Waiting | MessageState::Running | MessageState::Received) => true,
        // homing does not queue what it cannot find again.
        Ok(MessageState::Absent | MessageState::Ended(_)) | Err(_) => false,
    }
}

/// The variables in which harnesses name the session, and the names of these harnesses, in order of precedence. The
/// variables of harnesses that do not export them to their shell come last: in a shell they come from an outer
/// program.
pub(crate) fn session_variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    let variables = |is_exported: bool| {
        Profile::all()
            .filter(move |profile| (profile.session.shell == ShellSession::Exported) == is_exported)
            .filter_map(|profile| Some((profile.session.variable?, profile.name)))
    };
    variables(true).chain(variables(false))
}

/// The variables that harnesses set for their commands. The monitor and the programs of sinks do not inherit them.
pub(crate) fn harness_variables() -> impl Iterator<Item = &'static str> {
    Profile::all().flat_map(|profile| profile.session.variable.iter().chain(profile.variables).copied())
}

/// The variables that determine where harnesses keep their files, sorted.
pub fn directory_variables() -> BTreeSet<&'static str> {
    let setups = Profile::all().filter_map(|profile| profile.setup.as_ref().ok());
    let patterns = setups.flat_map(|setup| setup.changes).flat_map(|change| change.user);
    patterns.filter_map(|pattern| Some(pattern.strip_prefix("${")?.split_once(":-")?.0)).collect()
}

/// The variables that a resumed turn must not inherit either.
pub(crate) fn harness_settings() -> impl Iterator<Item = &'static str> {
    Profile::all().flat_map(|profile| profile.preset().unset.iter().map(String::as_str))
}

/// The answer for a session id that cannot belong to this harness: no attempt can succeed.
pub(crate) fn not_its_session(profile: &Profile, session: &str) -> Option<Delivery> {
    let reason = format!("{session:?} is not a session id of {}", profile.name);
    (!profile.preset().knows_id(session)).then_some(Delivery::Gone { reason })
}
