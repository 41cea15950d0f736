//! The known harnesses, by name.

use std::sync::OnceLock;

use homing_core::Delivery;
use homing_core::text::WakeFormat;

use super::active_session::process_of;
use super::paths::Paths;
use super::profile::Preset;

/// A preset, parsed on first use: most commands need none.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    text: &'static str,
    preset: OnceLock<Preset>,
}

macro_rules! entries {
    ($($name:literal),+ $(,)?) => {
        [$(Entry {
            name: $name,
            text: include_str!(concat!($name, ".toml")),
            preset: OnceLock::new(),
        }),+]
    };
}

pub(crate) static ENTRIES: [Entry; 8] =
    entries!["claude-code", "codex", "cursor", "gemini", "goose", "letta", "opencode", "openhands"];

impl Entry {
    pub(crate) fn named(name: &str) -> Option<&'static Entry> {
        ENTRIES.iter().find(|entry| entry.name == name)
    }

    pub(crate) fn preset(&self) -> &Preset {
        self.preset.get_or_init(|| toml::from_str(self.text).expect("a test reads every preset"))
    }
}

/// The names of all presets.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// The text format of a preset; `None` if the preset is unknown.
pub(crate) fn preset_format(name: &str) -> Option<WakeFormat> {
    Entry::named(name).map(|entry| entry.preset().format)
}

/// The error message for an unknown preset.
pub(crate) fn unknown_preset(name: &str) -> String {
    format!("unknown preset {name:?}; known presets: {}", preset_names().collect::<Vec<_>>().join(", "))
}

/// The process of a harness that has a session open. `None` if there is none, or if the harness does not record it.
pub(crate) fn open_in(harness: &str, session: &str) -> Option<u32> {
    let live = Entry::named(harness)?.preset().live.as_ref()?;
    process_of(live, session, &Paths::from_environment())
}

/// The variables that the harnesses set for their programs.
pub(crate) fn harness_settings() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().flat_map(|entry| entry.preset().unset.iter().map(String::as_str))
}

/// The answer for a session id that cannot belong to this harness: no attempt can succeed.
pub(crate) fn not_its_session(name: &str, preset: &Preset, session: &str) -> Option<Delivery> {
    let reason = format!("{session:?} is not a session id of {name}");
    (!preset.knows_id(session)).then_some(Delivery::Gone { reason })
}
