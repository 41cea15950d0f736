//! `homing setup`: lists the agent harnesses of this machine, configures one for homing, or previews the changes.

mod diff;
mod next_steps;
mod overview;
mod report;

use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use self::diff::diff;
use self::next_steps::NextSteps;
use self::overview::print_overview;
use self::report::{FileReport, Report};
use crate::exit::Failure;
use crate::setup::{
    Action, ConfigPaths, FilePlan, Harness, Program, Scope, carry_out, has_owned_parts, has_plugin,
    route_plan,
};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing setup                                    lists the agents that are installed and set up
  homing setup claude-code                        shows the changes, file by file
  homing setup claude-code --write                makes the changes; keeps backups of existing files
  homing setup claude-code --undo                 removes what setup added
  homing setup codex --scope project --write      only for the project in the current directory

Adds the MCP server, hooks that deliver results to an open session, and a route for the monitor, which \
delivers results to sessions that are not open. Keeps existing settings and comments.

Capabilities of each harness: https://github.com/homing-jobs/homing/blob/main/docs/harnesses.md";

/// Which harness to configure, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    /// Agent harness; without it, list the harnesses that are installed and set up
    #[arg(value_parser = harness_parser())]
    harness: Option<Harness>,
    /// Make the changes; without this, only show them
    #[arg(long, conflicts_with = "undo", requires = "harness")]
    write: bool,
    /// Remove what setup added, except parts that were changed since
    #[arg(long, requires = "harness")]
    undo: bool,
    /// Configure the user or the current project
    #[arg(long, value_enum, default_value_t, requires = "harness")]
    scope: Scope,
    /// Print a document with every file and its changes
    #[arg(long)]
    pub(crate) json: bool,
}

/// Accepts the harnesses that can be set up.
fn harness_parser() -> impl TypedValueParser<Value = Harness> {
    PossibleValuesParser::new(Harness::all().map(|harness| harness.name))
        .map(|name| Harness::named(&name).expect("it is one of the possible values"))
}

impl SetupArgs {
    /// The action that the options select.
    fn action(&self) -> Action {
        match (self.write, self.undo) {
            (_, true) => Action::Undo,
            (true, false) => Action::Write,
            (false, false) => Action::Show,
        }
    }
}

/// Lists the harnesses, or configures one, previews the changes, or undoes them.
pub(crate) fn setup(args: &SetupArgs) -> Result<ExitCode, Failure> {
    let paths = ConfigPaths::from_environment()
        .ok_or_else(|| refused("cannot determine the home directory", None))?;
    let program = Program::this()?;
    match args.harness {
        Some(harness) => set_up(harness, args, &paths, &program)?,
        None => print_overview(&paths, &program, args.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Configures a harness, previews the changes, or undoes them.
fn set_up(harness: Harness, args: &SetupArgs, paths: &ConfigPaths, program: &Program) -> Result<(), Failure> {
    let (scope, action) = (args.scope, args.action());
    let Some(mut plan) = harness.plan(scope, paths, program) else {
        let message = format!("homing cannot configure {} for a single project", harness.name);
        return Err(refused(&message, Some("omit --scope")));
    };
    let with_plugin = has_plugin(harness, paths);
    if action == Action::Undo && is_set_up(harness, scope.other(), paths, program)? {
        let other = scope.other().name();
        plan.notes = vec![format!("keeping the route: {} is also set up with --scope {other}", harness.name)];
    } else {
        if action == Action::Undo {
            plan.notes.clear();
        } else if with_plugin {
            plan.notes.push(beside_plugin(&plan.files, harness)?);
            plan.files.clear();
        }
        plan.files.extend(route_plan(harness, action)?);
    }
    if action == Action::Write {
        // Check all files before changing one, so that an error leaves every file unchanged.
        for file in &plan.files {
            carry_out(file, Action::Show)?;
        }
    }
    let files = plan.files.iter().map(|file| carry_out(file, action)).collect::<Result<Vec<_>, _>>()?;
    if action == Action::Undo {
        for (file, result) in plan.files.iter().zip(&files) {
            let left = result.after.iter().flat_map(|text| file.content.left_in(text));
            let note = |left| format!("kept in {}: {left}; remove it yourself", file.path.display());
            plan.notes.extend(left.map(note));
        }
    }
    let next_steps = (action != Action::Undo).then(|| NextSteps::after(harness, scope, with_plugin, paths));
    let file = |(file, result)| FileReport { diff: diff(file, &result), result };
    let files = plan.files.iter().zip(files).map(file).collect();
    let report = Report { harness, scope, action, files, notes: plan.notes, next_steps };
    if args.json { report.print_json() } else { report.print() }
}

/// The note for a harness in which the plugin of homing is enabled.
fn beside_plugin(files: &[FilePlan], harness: Harness) -> Result<String, Failure> {
    for file in files {
        if has_owned_parts(file)? {
            let name = harness.name;
            return Ok(format!(
                "the plugin of homing is enabled, and setup has configured {name} too, so each hook runs twice: \
                 run homing setup {name} --undo, then homing setup {name} --write"
            ));
        }
    }
    Ok("the plugin of homing contains the MCP server and the hooks; setup adds only the route".to_owned())
}

/// Whether the harness is set up in that scope.
fn is_set_up(
    harness: Harness,
    scope: Scope,
    paths: &ConfigPaths,
    program: &Program,
) -> Result<bool, Failure> {
    let Some(plan) = harness.plan(scope, paths, program) else { return Ok(false) };
    for file in &plan.files {
        if has_owned_parts(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn refused(message: &str, hint: Option<&str>) -> Failure {
    Failure::Refused { code: "setup", message: message.to_owned(), hint: hint.map(str::to_owned) }
}
