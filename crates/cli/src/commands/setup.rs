//! `homing setup`: makes an agent harness know homing, or shows what that would change.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use homing::{CONFIG_VARIABLE, Config, user_config_path};
use serde::Serialize;
use similar::TextDiff;

use crate::exit::Failure;
use crate::render::print_json;
use crate::setup::{
    Action, ConfigPaths, Done, FilePlan, FileResult, Harness, Program, Scope, carry_out, has_ours, route_plan,
};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing setup claude-code                        shows what would change, in which files
  homing setup claude-code --write                changes it; a file that was there is kept beside
  homing setup claude-code --undo                 takes it back
  homing setup codex --scope project --write      only for the project in the current directory

It adds the MCP server, hooks that tell an open session how its jobs ended, and the route by which the \
monitor wakes one that is not open. What is there already stays as it is, comments too.

What each harness can do: https://github.com/homing-jobs/homing/blob/main/docs/harnesses.md";

/// Which harness, and what is done.
#[derive(Debug, clap::Args)]
pub(crate) struct SetupArgs {
    /// The agent harness
    #[arg(value_enum)]
    harness: Harness,
    /// Makes the changes; without this they are only shown
    #[arg(long, conflicts_with = "undo")]
    write: bool,
    /// Takes back what was added, and leaves what others have changed since
    #[arg(long)]
    undo: bool,
    /// For whom
    #[arg(long, value_enum, default_value_t)]
    scope: Scope,
    /// Prints a document with every file and what changes in it
    #[arg(long)]
    pub(crate) json: bool,
}

impl SetupArgs {
    /// What is to be done.
    fn action(&self) -> Action {
        match (self.write, self.undo) {
            (_, true) => Action::Undo,
            (true, false) => Action::Write,
            (false, false) => Action::Show,
        }
    }
}

/// What was set up, for programs.
#[derive(Serialize)]
struct SetupDocument<'a> {
    harness: &'static str,
    scope: &'static str,
    /// Whether anything was written.
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

/// Sets a harness up, shows what that would change, or takes it back.
pub(crate) fn setup(args: &SetupArgs) -> Result<ExitCode, Failure> {
    let (harness, scope, action) = (args.harness, args.scope, args.action());
    let paths = ConfigPaths::from_environment().ok_or_else(|| refused("no home directory is known", None))?;
    let program = Program::this()?;
    let Some(mut plan) = harness.plan(scope, &paths, &program) else {
        let message =
            format!("{} has no configuration for one project that homing could be in", harness.name());
        return Err(refused(&message, Some("leave --scope away")));
    };
    if action == Action::Undo && is_set_up(harness, scope.other(), &paths, &program)? {
        let other = scope.other().name();
        plan.notes = vec![format!("the route stays: {} is set up with --scope {other} too", harness.name())];
    } else {
        if action == Action::Undo {
            plan.notes.clear();
        }
        plan.files.extend(route(harness, action)?);
    }
    if action == Action::Write {
        // All of them, before any is changed: what cannot be done is not begun.
        for file in &plan.files {
            carry_out(file, Action::Show)?;
        }
    }
    let files = plan.files.iter().map(|file| carry_out(file, action)).collect::<Result<Vec<_>, _>>()?;
    if action == Action::Undo {
        for (file, result) in plan.files.iter().zip(&files) {
            let left = result.after.iter().flat_map(|text| file.content.left_in(text));
            let note = |left| format!("left in {}: {left}; remove it there", file.path.display());
            plan.notes.extend(left.map(note));
        }
    }
    if args.json {
        print_document(args, &files, &plan.notes)?;
    } else {
        print(action, &files, &plan.notes)?;
        if action == Action::Show && files.iter().any(|file| file.done != Done::Nothing) {
            let project = if scope == Scope::Project { " --scope project" } else { "" };
            let again = format!("make these changes: homing setup {}{project} --write", harness.name());
            writeln!(io::stdout(), "{again}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a harness has parts of ours in that scope.
fn is_set_up(
    harness: Harness,
    scope: Scope,
    paths: &ConfigPaths,
    program: &Program,
) -> Result<bool, Failure> {
    let Some(plan) = harness.plan(scope, paths, program) else { return Ok(false) };
    for file in &plan.files {
        if has_ours(file)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The route by which the monitor wakes sessions of that harness; none where the user has made one.
fn route(harness: Harness, action: Action) -> Result<Option<FilePlan>, Failure> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(user_config_path) else { return Ok(None) };
    if action != Action::Undo && path.exists() {
        let config = Config::load_from(&path)?;
        let is_for_all = |route: &homing::RouteConfig| {
            route.session.is_none() && route.harness.as_deref().is_none_or(|name| name == harness.name())
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
                        writeln!(out, " (as it was before: {})", backup.display())?;
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
        harness: args.harness.name(),
        scope: args.scope.name(),
        written: action != Action::Show && files.iter().any(|file| file.change != Done::Nothing.as_str()),
        files,
        notes,
    })
}

/// What changes in a file, in the usual form.
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
