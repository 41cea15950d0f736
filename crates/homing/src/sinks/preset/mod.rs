//! Presets: how to wake the agent harnesses that homing knows. They are data, a file each below `data/`; the code knows
//! no harness by name.

mod active_session;
mod data;
mod harness_output;
mod paths;
mod post;
mod run;
mod session_dir;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use homing_core::Delivery;
use homing_core::text::WakeFormat;

use super::{Sink, SinkContext};
use crate::config::{PresetConfig, RouteConfig};
use crate::{Error, Result};

use data::{Preset, Transport};
use paths::Paths;
use post::PostSink;
use run::RunSink;

/// A preset, read when it is asked for: most commands need none.
struct Entry {
    name: &'static str,
    text: &'static str,
    preset: OnceLock<Preset>,
}

macro_rules! entries {
    ($($name:literal),+ $(,)?) => {
        [$(Entry {
            name: $name,
            text: include_str!(concat!("data/", $name, ".toml")),
            preset: OnceLock::new(),
        }),+]
    };
}

static ENTRIES: [Entry; 8] =
    entries!["claude-code", "codex", "cursor", "gemini", "goose", "letta", "opencode", "openhands"];

impl Entry {
    fn named(name: &str) -> Option<&'static Entry> {
        ENTRIES.iter().find(|entry| entry.name == name)
    }

    fn preset(&self) -> &Preset {
        self.preset.get_or_init(|| toml::from_str(self.text).expect("a test reads every preset"))
    }
}

/// The names of all presets.
pub(crate) fn preset_names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name)
}

/// How a preset lays out its text; `None` where there is no such preset.
pub(crate) fn preset_format(name: &str) -> Option<WakeFormat> {
    Entry::named(name).map(|entry| entry.preset().format)
}

/// The routes that `agents = ["name"]` stands for: the sessions of that harness, and those with ids that only it makes.
pub(crate) fn preset_route(name: &str) -> Vec<RouteConfig> {
    let route = |session, harness| RouteConfig { session, harness, sink: name.to_owned() };
    let by_id = Entry::named(name).and_then(|entry| entry.preset().sessions.clone());
    let by_harness = route(None, Some(name.to_owned()));
    [by_harness].into_iter().chain(by_id.map(|sessions| route(Some(sessions), None))).collect()
}

/// What to say of a preset that there is not.
pub(crate) fn unknown_preset(name: &str) -> String {
    format!("there is no preset {name:?}; there are {}", preset_names().collect::<Vec<_>>().join(", "))
}

/// Makes the sink of a preset.
///
/// # Errors
/// When something is set that does not go with it, or its key cannot be read.
pub(super) fn build(
    config: &PresetConfig,
    timeout: Duration,
    context: &SinkContext<'_>,
) -> Result<Box<dyn Sink>> {
    let name = config.preset.as_str();
    let Some(entry) = Entry::named(name) else { return Err(Error::InvalidRequest(unknown_preset(name))) };
    let preset = entry.preset();
    let refuse = |what: &str| Err(Error::InvalidRequest(format!("the preset {name} has no {what}")));
    match &preset.transport {
        Transport::Run(_) if config.url.is_some() => refuse("url: it is a program"),
        Transport::Run(_) if config.key_file.is_some() => refuse("key_file: it is a program"),
        Transport::Post(_) if config.program.is_some() => refuse("program: it is a server"),
        Transport::Post(_) if !config.arguments.is_empty() => refuse("arguments: it is a server"),
        Transport::Run(run) => Ok(Box::new(RunSink {
            name: entry.name,
            preset,
            transport: run,
            program: config.program.clone(),
            arguments: config.arguments.clone(),
            timeout,
            home: context.home.to_owned(),
            paths: Paths::from_environment(),
        })),
        Transport::Post(post) => Ok(Box::new(PostSink::new(entry.name, preset, post, config, timeout)?)),
    }
}

/// The process of a harness that has a session open. `None` where there is none, or the harness does not say.
pub(crate) fn open_in(harness: &str, session: &str) -> Option<u32> {
    let live = Entry::named(harness)?.preset().live.as_ref()?;
    active_session::process_of(live, session, &Paths::from_environment())
}

/// What a harness itself sets for the programs that it runs, any of them.
fn harness_settings() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().flat_map(|entry| entry.preset().unset.iter().map(String::as_str))
}

/// The answer for a session that cannot be one of this harness: no attempt will ever succeed.
fn not_its_session(name: &str, preset: &Preset, session: &str) -> Option<Delivery> {
    let reason = format!("{session:?} is no id of a session of {name}");
    (!preset.knows_id(session)).then_some(Delivery::Gone { reason })
}
