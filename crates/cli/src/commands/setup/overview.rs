//! The harnesses of this machine: found or not, set up or not, and the commands that set them up.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exit::Failure;
use crate::render::print_json;
use crate::setup::{ConfigPaths, Harness, HarnessStatus, Program, ScopeStatus, SetupState};

/// All harnesses as JSON.
#[derive(Serialize)]
struct OverviewDocument<'a> {
    harnesses: Vec<HarnessDocument<'a>>,
}

#[derive(Serialize)]
struct HarnessDocument<'a> {
    harness: &'static str,
    /// Whether its program or its configuration was found.
    installed: bool,
    program: Option<&'a Path>,
    config_directory: Option<&'a Path>,
    /// Whether the plugin of homing is enabled in it.
    plugin: bool,
    user: ScopeDocument<'a>,
    /// `null` if it cannot be set up for a project.
    project: Option<ScopeDocument<'a>>,
    /// The command that completes the setup of the user. `null` if nothing is to be done.
    command: Option<String>,
}

#[derive(Serialize)]
struct ScopeDocument<'a> {
    /// `yes`, `partly`, `older`, `no` or `unknown`.
    state: &'static str,
    missing: &'a [String],
    older: &'a [String],
    error: Option<&'a str>,
}

/// Prints all harnesses.
pub(super) fn print_overview(paths: &ConfigPaths, program: &Program, as_json: bool) -> Result<(), Failure> {
    let all: Vec<HarnessStatus> =
        Harness::all().map(|harness| HarnessStatus::of(harness, paths, program)).collect();
    if as_json {
        return print_json(&OverviewDocument { harnesses: all.iter().map(document).collect() });
    }
    let mut out = io::stdout().lock();
    out.write_all(text(&all).as_bytes())?;
    Ok(out.flush()?)
}

fn document(status: &HarnessStatus) -> HarnessDocument<'_> {
    HarnessDocument {
        harness: status.harness.name,
        installed: status.is_installed(),
        program: status.program.as_deref(),
        config_directory: status.directory.as_deref(),
        plugin: status.has_plugin,
        user: scope_document(&status.user),
        project: status.project.as_ref().map(scope_document),
        command: status.setup_command(),
    }
}

fn scope_document(scope: &ScopeStatus) -> ScopeDocument<'_> {
    let ScopeStatus { state, missing, older, error } = scope;
    ScopeDocument { state: state.as_str(), missing, older, error: error.as_deref() }
}

fn text(all: &[HarnessStatus]) -> String {
    let (found, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|status| status.is_installed() || status.user.state != SetupState::No);
    let mut text = String::new();
    let names =
        |all: &[&HarnessStatus]| all.iter().map(|status| status.harness.name).collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        return format!(
            "No agent was found: no program in PATH, no configuration directory. Looked for: {}.\n\
             To set one up anyway, run homing setup NAME --write\n",
            names(&others)
        );
    }
    text += &format!("{:<12}  {:<7}  {}\n", "AGENT", "SET UP", "FOUND");
    for status in &found {
        let place = |path: &PathBuf| path.display().to_string();
        let program = status.program.as_ref().map(place);
        let directory =
            || status.directory.as_ref().map(|path| format!("{} (no program in PATH)", place(path)));
        let place = program.or_else(directory).unwrap_or_else(|| "-".to_owned());
        let state = status.user.state.as_str();
        text += format!("{:<12}  {state:<7}  {place}", status.harness.name).trim_end();
        text += "\n";
        for note in notes(status) {
            text += &format!("              {note}\n");
        }
    }
    if !others.is_empty() {
        text += &format!("\nNot found: {}.\n", names(&others));
    }
    let commands: Vec<String> = found.iter().filter_map(|status| status.setup_command()).collect();
    if commands.is_empty() {
        text += "\nEvery agent that was found is set up.\n";
    } else {
        text += "\nTo set up or update an agent, run one of these. Without --write, the command shows the changes.\n";
        commands.iter().for_each(|command| text += &format!("  {command}\n"));
    }
    text
}

/// What is to be known about the setup of a harness.
fn notes(status: &HarnessStatus) -> Vec<String> {
    let ScopeStatus { state, missing, older, error } = &status.user;
    let mut notes = Vec::new();
    if status.has_plugin {
        notes.push("by the plugin of homing".to_owned());
    }
    if *state == SetupState::Partly {
        notes.push(format!("missing: {}", missing.join(", ")));
    }
    if matches!(state, SetupState::Partly | SetupState::Older) && !older.is_empty() {
        notes.push(format!("to update: {}", older.join(", ")));
    }
    notes.extend(error.clone());
    let in_project = status.project.as_ref().filter(|project| project.state != SetupState::No);
    notes.extend(in_project.map(|project| format!("in this project: {}", project.state.as_str())));
    notes
}
