//! What the user does after the changes: restart, ask, allow the tools, tell the model.

use std::io::Write;
use std::path::PathBuf;

use homing::harness::INSTRUCTIONS;
use serde::Serialize;

use crate::exit::Failure;
use crate::setup::{ConfigPaths, Harness, Scope};

/// A first request to an agent.
const ASK: &str = "Run the test suite with homing and tell me when it is done.";

/// What the user does after the changes.
#[derive(Debug, Serialize)]
pub(super) struct NextSteps {
    /// A first request to the agent.
    ask: &'static str,
    /// The rule that allows the tools without a question to the user; `null` if the harness has no such rule.
    permission: Option<PermissionStep>,
    /// About permissions, if the harness has no such rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_note: Option<&'static str>,
    instructions: InstructionStep,
}

/// The rule that allows the tools without a question to the user.
#[derive(Debug, Serialize)]
struct PermissionStep {
    file: PathBuf,
    /// Where in the file; empty for the top level.
    place: &'static str,
    rule: &'static str,
    /// What the harness does without it.
    without: &'static str,
}

/// The text for the model, and the files of which one should contain it.
#[derive(Debug, Serialize)]
struct InstructionStep {
    project_file: &'static str,
    user_file: Option<PathBuf>,
    text: &'static str,
}

impl NextSteps {
    /// The steps after the setup of a harness. `with_plugin`: its tools have the names that the plugin gives them.
    pub(super) fn after(harness: Harness, scope: Scope, with_plugin: bool, paths: &ConfigPaths) -> NextSteps {
        let setup = harness.setup;
        let permission = setup.permission.as_ref().ok().and_then(|permission| {
            let files = match scope {
                Scope::User => permission.user,
                Scope::Project => permission.project,
            };
            let of_plugin = setup.plugin.filter(|_| with_plugin).map(|plugin| plugin.rule);
            Some(PermissionStep {
                file: paths.first_existing(files)?,
                place: permission.place,
                rule: of_plugin.unwrap_or(permission.rule),
                without: permission.without,
            })
        });
        NextSteps {
            ask: ASK,
            permission,
            permission_note: setup.permission.as_ref().err().copied(),
            instructions: InstructionStep {
                project_file: setup.instructions.project,
                user_file: setup.instructions.user.map(|pattern| paths.path(pattern)),
                text: INSTRUCTIONS,
            },
        }
    }

    /// Prints the steps for people.
    pub(super) fn print(&self, out: &mut impl Write) -> Result<(), Failure> {
        writeln!(out, "\nAsk your agent: {}", self.ask)?;
        if let Some(PermissionStep { file, place, rule, without }) = &self.permission {
            // A rule at the top level belongs to an object that may exist already.
            let how = if place.is_empty() {
                "merge this into".to_owned()
            } else {
                format!("add this to {place} in")
            };
            writeln!(out, "\nPermission. {without}")?;
            writeln!(out, "To allow the tools of homing, {how} {}:\n", file.display())?;
            writeln!(out, "    {rule}\n")?;
            writeln!(
                out,
                "The model can then run any command without asking you. homing does not write this rule."
            )?;
        }
        if let Some(note) = self.permission_note {
            writeln!(out, "\nPermission. {note}")?;
        }
        let InstructionStep { project_file, user_file, text } = &self.instructions;
        let everywhere = user_file.as_ref().map(|file| format!(" or {} (for all projects)", file.display()));
        let everywhere = everywhere.unwrap_or_default();
        writeln!(
            out,
            "\nInstructions. To make the model use homing, add this to {project_file}{everywhere}:\n"
        )?;
        for line in text.lines() {
            writeln!(out, "{}", format!("    {line}").trim_end())?;
        }
        Ok(())
    }
}
