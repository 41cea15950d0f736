//! Profiles of agent harnesses, as data, in one file for each. The code itself does not depend on any harness.

mod active_session;
pub(crate) mod json;
mod origin;
mod paths;
mod profile;
mod registry;
mod session_dir;

pub(crate) use active_session::process_of;
pub use origin::{HARNESS_VARIABLE, Origin, SESSION_VARIABLE, session_from_environment};
pub(crate) use origin::{WAKE_VARIABLE, harness_variables};
pub(crate) use paths::Paths;
pub(crate) use profile::{Directory, PostTransport, Preset, RunTransport, Transport};
#[cfg(test)]
pub(crate) use registry::ENTRIES;
pub(crate) use registry::{
    Entry, harness_settings, not_its_session, open_in, preset_format, preset_names, unknown_preset,
};
pub(crate) use session_dir::SessionDir;
