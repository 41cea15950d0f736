//! `homing setup`: configures an agent harness for homing, or previews the changes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use homing::{CONFIG_VARIABLE, Config, user_config_path};
use serde::Serialize;
use similar::TextDiff;

use crate::exit::Failure;
use crate::render::print_json;
use crate::setup::{
    Action, ConfigPaths, Done, FilePlan, FileResult, Harness, Program, Scope, carry_out, has_owned_parts,
    route_plan,
};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
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
    /// Agent harness
    #[arg(value_parser = harness_parser())]
    harness: Harness,
    /// Make the changes; without this, only show them
    #[arg(long, conflicts_with = "undo")]
    write: bool,
    /// Remove what setup added, except parts that were changed since
    #[arg(long)]
    undo: bool,
    /// Configure the user or the current project
    #[arg(long, value_enum, default_value_t)]
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

/// The setup as JSON.
#[derive(Serialize)]
struct SetupDocument<'a> {
    harness: &'static str,
    scope: &'static str,
    /// Whether a file was written.
    written: bool,
    files: Vec<FileDocument<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct FileDocument<'a> {
    path: &'a Path,
    /// `nothing`, `made`, `changed`, `restored` or `removed`.
    change: &'static str,
    backup: Option<&'a Path>,
    diff: String,
}

/// Configures a harness, previews the changes, or undoes them.
pub(crate) fn setup(args: &SetupArgs) -> Result<ExitCode, Failure> {
    let (harness, scope, action) = (args.harness, args.scope, args.action());
    let paths = ConfigPaths::from_environment()
        .ok_or_else(|| refused("cannot determine the home directory", None))?;
    let program = Program::this()?;
    let Some(mut plan) = harness.plan(scope, &paths, &program) else {
        let message = format!("homing cannot configure {} for a single project", harness.name);
        return Err(refused(&message, Some("omit --scope")));
    };
    if action == Action::Undo && is_set_up(harness, scope.other(), &paths, &program)? {
        let other = scope.other().name();
        plan.notes = vec![format!("keeping the route: {} is also set up with --scope {other}", harness.name)];
    } else {
        if action == Action::Undo {
            plan.notes.clear();
        }
        plan.files.extend(route(harness, action)?);
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
    if args.json {
        print_document(args, &files, &plan.notes)?;
    } else {
        print(action, &files, &plan.notes)?;
        if action == Action::Show && files.iter().any(|file| file.done != Done::Nothing) {
            let project = if scope == Scope::Project { " --scope project" } else { "" };
            let again = format!("to make these changes, run homing setup {}{project} --write", harness.name);
            writeln!(io::stdout(), "{again}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
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

/// The route by which the monitor delivers results to sessions of the harness; none if the user has defined one.
fn route(harness: Harness, action: Action) -> Result<Option<FilePlan>, Failure> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(user_config_path) else { return Ok(None) };
    if action != Action::Undo && path.exists() {
        let config = Config::load_from(&path)?;
        let is_for_all = |route: &homing::RouteConfig| {
            route.session.is_none() && route.harness.as_deref().is_none_or(|name| name == harness.name)
        };
        if config.routes.iter().any(is_for_all) {
            return Ok(None);
        }
    }
    Ok(Some(route_plan(harness, path)))
}

fn print(action: Action, files: &[FileResult], notes: &[String]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for file in files {
        let path = file.path.display();
        match (action, file.done) {
            (Action::Show, Done::Nothing) => writeln!(out, "# {path} needs no change")?,
            (Action::Show, _) => writeln!(out, "{}", diff(file))?,
            (Action::Write | Action::Undo, Done::Nothing) => writeln!(out, "{path} needed no change")?,
            (Action::Write | Action::Undo, done) => {
                write!(out, "{} {path}", done.as_str())?;
                match &file.backup {
                    Some(backup) if done == Done::Changed => {
                        writeln!(out, " (backup: {})", backup.display())?;
                    }
                    Some(_) | None => writeln!(out)?,
                }
            }
        }
    }
    for note in notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(out.flush()?)
}

fn print_document(args: &SetupArgs, files: &[FileResult], notes: &[String]) -> Result<(), Failure> {
    let action = args.action();
    let files: Vec<FileDocument<'_>> = files
        .iter()
        .map(|file| FileDocument {
            path: &file.path,
            change: file.done.as_str(),
            backup: file.backup.as_deref().filter(|_| action == Action::Write),
            diff: diff(file),
        })
        .collect();
    print_json(&SetupDocument {
        harness: args.harness.name,
        scope: args.scope.name(),
        written: action != Action::Show && files.iter().any(|file| file.change != Done::Nothing.as_str()),
        files,
        notes,
    })
}

/// The changes in a file as a unified diff.
fn diff(file: &FileResult) -> String {
    let (before, after) = (file.before.as_deref(), file.after.as_deref());
    let path = file.path.display().to_string();
    let name = |text: Option<&str>| if text.is_some() { path.clone() } else { "/dev/null".to_owned() };
    let difference = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
    difference.unified_diff().header(&name(before), &name(after)).missing_newline_hint(false).to_string()
}

fn refused(message: &str, hint: Option<&str>) -> Failure {
    Failure::Refused { code: "setup", message: message.to_owned(), hint: hint.map(str::to_owned) }
}
