//! What setup has done with the files of a harness, or would do, for people and for programs.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::next_steps::NextSteps;
use crate::exit::Failure;
use crate::render::print_json;
use crate::setup::{Action, Done, FileResult, Harness, Scope};

/// What setup has done with the files of a harness, or would do.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) harness: Harness,
    pub(super) scope: Scope,
    pub(super) action: Action,
    pub(super) files: Vec<FileReport>,
    /// Notes for the user.
    pub(super) notes: Vec<String>,
    /// What the user does after the changes. `None` after an undo.
    pub(super) next_steps: Option<NextSteps>,
}

/// What setup has done with one file, or would do.
#[derive(Debug)]
pub(super) struct FileReport {
    pub(super) result: FileResult,
    /// Texts of the user are replaced by `…`.
    pub(super) diff: String,
}

/// The report as JSON.
#[derive(Serialize)]
struct SetupDocument<'a> {
    harness: &'static str,
    scope: &'static str,
    /// Whether a file was written.
    written: bool,
    files: Vec<FileDocument<'a>>,
    notes: &'a [String],
    next_steps: Option<&'a NextSteps>,
}

#[derive(Serialize)]
struct FileDocument<'a> {
    path: &'a Path,
    /// `nothing`, `made`, `changed`, `restored` or `removed`.
    change: &'static str,
    backup: Option<&'a Path>,
    diff: &'a str,
}

impl Report {
    /// Whether a file was changed, or would be.
    fn has_changes(&self) -> bool {
        self.files.iter().any(|file| file.result.done != Done::Nothing)
    }

    /// Prints the report for people.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        for FileReport { result, diff } in &self.files {
            let path = result.path.display();
            match (self.action, result.done) {
                (Action::Show, Done::Nothing) => writeln!(out, "# {path} needs no change")?,
                (Action::Show, _) => writeln!(out, "{diff}")?,
                (Action::Write | Action::Undo, Done::Nothing) => writeln!(out, "{path} needed no change")?,
                (Action::Write | Action::Undo, done) => {
                    write!(out, "{} {path}", done.as_str())?;
                    match &result.backup {
                        Some(backup) if done == Done::Changed => {
                            writeln!(out, " (backup: {})", backup.display())?;
                        }
                        Some(_) | None => writeln!(out)?,
                    }
                }
            }
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        match (self.action, &self.next_steps) {
            (Action::Show, _) if self.has_changes() => {
                let project = if self.scope == Scope::Project { " --scope project" } else { "" };
                let again =
                    format!("to make these changes, run homing setup {}{project} --write", self.harness.name);
                writeln!(out, "{again}")?;
            }
            (Action::Write, Some(next_steps)) => next_steps.print(&mut out)?,
            (Action::Show | Action::Write | Action::Undo, _) => {}
        }
        Ok(out.flush()?)
    }

    /// Prints the report as one document.
    pub(super) fn print_json(&self) -> Result<(), Failure> {
        print_json(&SetupDocument {
            harness: self.harness.name,
            scope: self.scope.name(),
            written: self.action != Action::Show && self.has_changes(),
            files: self.files.iter().map(|file| self.file_document(file)).collect(),
            notes: &self.notes,
            next_steps: self.next_steps.as_ref(),
        })
    }

    fn file_document<'a>(&self, file: &'a FileReport) -> FileDocument<'a> {
        let FileReport { result, diff } = file;
        FileDocument {
            path: &result.path,
            change: result.done.as_str(),
            backup: result.backup.as_deref().filter(|_| self.action == Action::Write),
            diff,
        }
    }
}
