//! Whether a harness is installed and set up. Reads its files and searches `PATH`; runs nothing and changes nothing.

use std::path::PathBuf;

use homing_supervisor::platform::paths::find_program;

use super::config_paths::ConfigPaths;
use super::file::{Action, is_enabled, part_states};
use super::ownership::Program;
use super::parts::PartState;
use super::plan::{Harness, Scope};
use super::route::route_plan;
use crate::exit::Failure;

/// A harness on this machine.
#[derive(Debug)]
pub(crate) struct HarnessStatus {
    pub(crate) harness: Harness,
    /// Its program in `PATH`.
    pub(crate) program: Option<PathBuf>,
    /// The directory of its configuration, if it exists.
    pub(crate) directory: Option<PathBuf>,
    /// Whether the plugin of homing is enabled in it, in place of the files that setup writes.
    pub(crate) has_plugin: bool,
    /// The setup of the user.
    pub(crate) user: ScopeStatus,
    /// The setup of the project in the current directory, if the harness has one.
    pub(crate) project: Option<ScopeStatus>,
}

/// The setup in one scope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScopeStatus {
    pub(crate) state: SetupState,
    /// The missing parts, for people.
    pub(crate) missing: Vec<String>,
    /// The parts that setup would update, for people.
    pub(crate) older: Vec<String>,
    /// Why the state is unknown.
    pub(crate) error: Option<String>,
}

/// How far a harness is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetupState {
    /// Completely.
    Yes,
    /// A part is missing.
    Partly,
    /// Every part exists, and one differs: another version wrote it, or the program was moved.
    Older,
    /// Not at all.
    No,
    /// A file cannot be read or parsed.
    Unknown,
}

impl SetupState {
    /// Its name, for people and programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SetupState::Yes => "yes",
            SetupState::Partly => "partly",
            SetupState::Older => "older",
            SetupState::No => "no",
            SetupState::Unknown => "unknown",
        }
    }
}

impl HarnessStatus {
    /// The status of a harness.
    pub(crate) fn of(harness: Harness, paths: &ConfigPaths, program: &Program) -> HarnessStatus {
        // Without the separator at the end of a pattern that ends with a variable.
        let directory: PathBuf = paths.path(harness.setup.directory).components().collect();
        let has_plugin = has_plugin(harness, paths);
        HarnessStatus {
            harness,
            program: harness.setup.programs.iter().find_map(|name| find_program(name)),
            directory: directory.is_dir().then_some(directory),
            has_plugin,
            user: ScopeStatus::of(harness, Scope::User, has_plugin, paths, program).unwrap_or_default(),
            project: ScopeStatus::of(harness, Scope::Project, false, paths, program),
        }
    }

    /// The command that completes the setup of the user, if the harness is installed or was set up.
    pub(crate) fn setup_command(&self) -> Option<String> {
        let is_complete = self.user.state == SetupState::Yes;
        let concerns = self.is_installed() || self.user.state != SetupState::No;
        (concerns && !is_complete).then(|| format!("homing setup {} --write", self.harness.name))
    }

    /// Whether its program or its configuration was found.
    pub(crate) fn is_installed(&self) -> bool {
        self.program.is_some() || self.directory.is_some()
    }
}

impl ScopeStatus {
    /// The status of a scope; `None` if the harness does not have it.
    fn of(
        harness: Harness,
        scope: Scope,
        has_plugin: bool,
        paths: &ConfigPaths,
        program: &Program,
    ) -> Option<ScopeStatus> {
        let mut files = harness.plan(scope, paths, program)?.files;
        if has_plugin {
            // The plugin contains everything but the route.
            files.clear();
        }
        Some(match route_plan(harness, Action::Show) {
            Ok(route) => {
                // A route alone does not set up a project.
                let is_alone = files.is_empty() && has_plugin;
                let states = files.iter().map(part_states).collect::<Result<Vec<_>, _>>();
                let route = route.as_ref().map(part_states).transpose();
                match (states, route) {
                    (Ok(states), Ok(route)) => {
                        ScopeStatus::from(&states.concat(), &route.unwrap_or_default(), is_alone)
                    }
                    (Err(failure), _) | (_, Err(failure)) => ScopeStatus::unknown(&failure),
                }
            }
            Err(failure) => ScopeStatus::unknown(&failure),
        })
    }

    /// The status from the states of the harness's files and of the route.
    fn from(files: &[(String, PartState)], route: &[(String, PartState)], has_plugin: bool) -> ScopeStatus {
        let all = || files.iter().chain(route);
        let named = |wanted: PartState| {
            let mut names: Vec<String> =
                all().filter(|(_, state)| *state == wanted).map(|(name, _)| name.clone()).collect();
            names.dedup();
            names
        };
        let (missing, older) = (named(PartState::Absent), named(PartState::Older));
        let is_absent = !has_plugin && files.iter().all(|(_, state)| *state == PartState::Absent);
        let state = match (is_absent, missing.is_empty(), older.is_empty()) {
            (true, _, _) => SetupState::No,
            (false, false, _) => SetupState::Partly,
            (false, true, false) => SetupState::Older,
            (false, true, true) => SetupState::Yes,
        };
        ScopeStatus { state, missing, older, error: None }
    }

    fn unknown(failure: &Failure) -> ScopeStatus {
        let error = match failure {
            Failure::Library(error) => error.to_string(),
            Failure::Usage { message, .. } | Failure::Refused { message, .. } => message.clone(),
            Failure::Write(error) => error.to_string(),
            Failure::ReaderGone => String::new(),
        };
        ScopeStatus { state: SetupState::Unknown, error: Some(error), ..ScopeStatus::default() }
    }
}

impl Default for ScopeStatus {
    fn default() -> ScopeStatus {
        ScopeStatus { state: SetupState::No, missing: Vec::new(), older: Vec::new(), error: None }
    }
}

/// Whether the plugin of homing is enabled in the harness.
pub(crate) fn has_plugin(harness: Harness, paths: &ConfigPaths) -> bool {
    let enabled = harness.setup.plugin;
    enabled.is_some_and(|plugin| is_enabled(&paths.path(plugin.file), plugin.object, plugin.key))
}
