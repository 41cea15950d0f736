//! Configures agent harnesses for homing: edits and restores their files, and finds out which harnesses are set up.
//! `homing::harness` describes what each harness needs.

mod config_paths;
mod content;
mod edit_json;
mod edit_toml;
mod edit_yaml;
mod file;
mod ownership;
mod parts;
mod plan;
mod route;
mod status;
#[cfg(test)]
mod tests;
mod waiting_hook;

pub(crate) use config_paths::ConfigPaths;
pub(crate) use file::{Action, Done, FileResult, carry_out, has_owned_parts};
pub(crate) use ownership::Program;
pub(crate) use plan::{FilePlan, Harness, Scope};
pub(crate) use route::route_plan;
pub(crate) use status::{HarnessStatus, ScopeStatus, SetupState, has_plugin};
pub(crate) use waiting_hook::has_waiting_hook;
