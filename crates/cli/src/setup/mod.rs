//! Configures agent harnesses for homing. The required content of their files is data, one harness per file. The code
//! that edits and restores files is shared.

mod claude_code;
mod codex;
mod config_paths;
mod cursor;
mod edit_json;
mod edit_toml;
mod edit_yaml;
mod file;
mod gemini;
mod goose;
mod opencode;
mod ownership;
#[cfg(test)]
mod tests;

#[cfg(feature = "mcp")]
pub(crate) use claude_code::wakes_open_sessions;
pub(crate) use config_paths::ConfigPaths;
pub(crate) use file::{Done, FileResult, carry_out, has_ours};
pub(crate) use ownership::Program;

use std::path::PathBuf;

use clap::ValueEnum;
use jsonc_parser::cst::CstInputValue;

/// A harness that can be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Harness {
    ClaudeCode,
    Codex,
    Gemini,
    Opencode,
    Goose,
    Cursor,
}

/// Where the configuration applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// In all projects of the user
    #[default]
    User,
    /// In the project in the current directory
    Project,
}

impl Scope {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Project => "project",
        }
    }

    /// The other scope.
    pub(crate) fn other(self) -> Scope {
        match self {
            Scope::User => Scope::Project,
            Scope::Project => Scope::User,
        }
    }
}

/// What to do with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Prints what would change.
    Show,
    /// Changes the files.
    Write,
    /// Removes what was added.
    Undo,
}

/// The changes that configure a harness for homing.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) files: Vec<FilePlan>,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
}

/// The required content of one file.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// The required content of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// Parts of a JSON file, with comments or without.
    Json(Vec<JsonPart>),
    /// Parts of a TOML file.
    Toml(Vec<TomlPart>),
    /// An entry of the mapping `extensions` of a YAML file.
    YamlExtension { name: &'static str, lines: Vec<String> },
    /// A whole file that homing owns.
    Whole(String),
}

/// A part of a JSON file.
#[derive(Debug)]
pub(crate) enum JsonPart {
    /// A value that must exist and that undo keeps: `"version": 1`.
    Default { key: &'static str, value: CstInputValue },
    /// An entry of an object.
    Entry { object: &'static str, key: &'static str, value: CstInputValue },
    /// A hook for an event. `in_group`: hooks are in groups with a matcher.
    Hook { event: &'static str, in_group: bool, hook: CstInputValue },
}

/// A part of a TOML file.
#[derive(Debug)]
pub(crate) enum TomlPart {
    /// A table with its items.
    Table { parent: &'static str, key: &'static str, items: Vec<(&'static str, toml_edit::Value)> },
    /// A string in a top-level list.
    Item { key: &'static str, item: &'static str },
}

impl Harness {
    /// The name of the harness and of its preset.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Harness::ClaudeCode => "claude-code",
            Harness::Codex => "codex",
            Harness::Gemini => "gemini",
            Harness::Opencode => "opencode",
            Harness::Goose => "goose",
            Harness::Cursor => "cursor",
        }
    }

    /// The plan for a scope; `None` if the harness does not have this scope.
    pub(crate) fn plan(self, scope: Scope, paths: &ConfigPaths, program: &Program) -> Option<Plan> {
        match self {
            Harness::ClaudeCode => Some(claude_code::plan(scope, paths, program)),
            Harness::Codex => Some(codex::plan(scope, paths, program)),
            Harness::Gemini => Some(gemini::plan(scope, paths, program)),
            Harness::Opencode => Some(opencode::plan(scope, paths, program)),
            Harness::Goose => goose::plan(scope, paths, program),
            Harness::Cursor => Some(cursor::plan(scope, paths, program)),
        }
    }
}

/// The route in the configuration of homing: its preset notifies the sessions of the harness.
pub(crate) fn route_plan(harness: Harness, config: PathBuf) -> FilePlan {
    let item = TomlPart::Item { key: "agents", item: harness.name() };
    FilePlan { path: config, content: Content::Toml(vec![item]) }
}

impl FilePlan {
    fn json(path: PathBuf, parts: Vec<JsonPart>) -> FilePlan {
        FilePlan { path, content: Content::Json(parts) }
    }
}

/// Why a text cannot be edited. Then nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EditError(pub(crate) String);

impl Content {
    /// The text with the required content; the same text if it is complete. `None` is a missing file.
    pub(crate) fn add_to(&self, text: Option<&str>) -> Result<String, EditError> {
        match self {
            Content::Json(parts) => edit_json::add(text.unwrap_or_default(), parts),
            Content::Toml(parts) => edit_toml::add(text.unwrap_or_default(), parts),
            Content::YamlExtension { name, lines } => edit_yaml::add(text.unwrap_or_default(), name, lines),
            Content::Whole(whole) => match text {
                Some(text) if !ownership::is_owned_file(text) => {
                    Err(EditError("the file exists and homing did not write it".to_owned()))
                }
                Some(_) | None => Ok(whole.clone()),
            },
        }
    }

    /// The text without what homing added; `None` if nothing remains.
    pub(crate) fn remove_from(&self, text: &str) -> Result<Option<String>, EditError> {
        match self {
            Content::Json(parts) => edit_json::remove(text, parts).map(Some),
            Content::Toml(parts) => edit_toml::remove(text, parts).map(Some),
            Content::YamlExtension { name, lines } => edit_yaml::remove(text, name, lines).map(Some),
            Content::Whole(whole) if ownership::same_but_program(text, whole) => Ok(None),
            Content::Whole(_) => Ok(Some(text.to_owned())),
        }
    }

    /// Describes entries of homing that remain after removal because the user has changed them.
    pub(crate) fn left_in(&self, text: &str) -> Vec<String> {
        match self {
            Content::Json(parts) => edit_json::left_in(text, parts),
            Content::Toml(parts) => edit_toml::left_in(text, parts),
            Content::YamlExtension { name, .. } => edit_yaml::left_in(text, name).into_iter().collect(),
            Content::Whole(_) if ownership::is_owned_file(text) => {
                vec!["the whole file, which differs from what homing setup wrote".to_owned()]
            }
            Content::Whole(_) => Vec::new(),
        }
    }

    /// The required content alone, for pasting by hand.
    pub(crate) fn snippet(&self) -> String {
        self.add_to(None).unwrap_or_default()
    }

    /// The file format, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Content::Json(_) => "JSON",
            Content::Toml(_) => "TOML",
            Content::YamlExtension { .. } => "YAML",
            Content::Whole(_) => "text",
        }
    }
}
