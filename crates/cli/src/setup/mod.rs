//! Makes an agent harness know homing: what has to stand in which of its files is data, one harness a file; how files are
//! changed and changed back is shared.

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

/// For whom.
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

    /// The one that it is not.
    pub(crate) fn other(self) -> Scope {
        match self {
            Scope::User => Scope::Project,
            Scope::Project => Scope::User,
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Says what would change.
    Show,
    /// Changes it.
    Write,
    /// Takes back what was added.
    Undo,
}

/// What has to stand where, so that a harness knows homing.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) files: Vec<FilePlan>,
    /// What the user has to know or do besides.
    pub(crate) notes: Vec<String>,
}

/// What has to stand in one file.
#[derive(Debug)]
pub(crate) struct FilePlan {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// What has to stand in a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// Parts of a JSON file, with comments or without.
    Json(Vec<JsonPart>),
    /// Parts of a TOML file.
    Toml(Vec<TomlPart>),
    /// An entry of the mapping `extensions` of a YAML file.
    YamlExtension { name: &'static str, lines: Vec<String> },
    /// A file of our own.
    Whole(String),
}

/// A part of a JSON file.
#[derive(Debug)]
pub(crate) enum JsonPart {
    /// A value that has to be there, and that stays: `"version": 1`.
    Default { key: &'static str, value: CstInputValue },
    /// An entry of an object.
    Entry { object: &'static str, key: &'static str, value: CstInputValue },
    /// A hook for an event. `in_group` says whether hooks stand in groups with a matcher.
    Hook { event: &'static str, in_group: bool, hook: CstInputValue },
}

/// A part of a TOML file.
#[derive(Debug)]
pub(crate) enum TomlPart {
    /// A table, and what stands in it.
    Table { parent: &'static str, key: &'static str, items: Vec<(&'static str, toml_edit::Value)> },
    /// One of the texts of a list at the top.
    Item { key: &'static str, item: &'static str },
}

impl Harness {
    /// Its name, which is that of its preset too.
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

    /// What has to stand where; `None` where the harness knows nothing of that scope.
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

/// The route of homing's own: sessions of that harness are woken by its preset.
pub(crate) fn route_plan(harness: Harness, config: PathBuf) -> FilePlan {
    let item = TomlPart::Item { key: "agents", item: harness.name() };
    FilePlan { path: config, content: Content::Toml(vec![item]) }
}

impl FilePlan {
    fn json(path: PathBuf, parts: Vec<JsonPart>) -> FilePlan {
        FilePlan { path, content: Content::Json(parts) }
    }
}

/// Why a text cannot be changed: nothing is written then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EditError(pub(crate) String);

impl Content {
    /// The text with what has to stand in it; the same text where it does. `None` is a file that is not there.
    pub(crate) fn add_to(&self, text: Option<&str>) -> Result<String, EditError> {
        match self {
            Content::Json(parts) => edit_json::add(text.unwrap_or_default(), parts),
            Content::Toml(parts) => edit_toml::add(text.unwrap_or_default(), parts),
            Content::YamlExtension { name, lines } => edit_yaml::add(text.unwrap_or_default(), name, lines),
            Content::Whole(whole) => match text {
                Some(text) if !ownership::is_our_file(text) => {
                    Err(EditError("it is there already, and homing did not write it".to_owned()))
                }
                Some(_) | None => Ok(whole.clone()),
            },
        }
    }

    /// The text without what we have added; `None` where nothing is left of the file.
    pub(crate) fn remove_from(&self, text: &str) -> Result<Option<String>, EditError> {
        match self {
            Content::Json(parts) => edit_json::remove(text, parts).map(Some),
            Content::Toml(parts) => edit_toml::remove(text, parts).map(Some),
            Content::YamlExtension { name, lines } => edit_yaml::remove(text, name, lines).map(Some),
            Content::Whole(whole) if ownership::same_but_program(text, whole) => Ok(None),
            Content::Whole(_) => Ok(Some(text.to_owned())),
        }
    }

    /// What stands in a text after everything of ours was taken back: the user has changed it, so it is the user's.
    pub(crate) fn left_in(&self, text: &str) -> Vec<String> {
        match self {
            Content::Json(parts) => edit_json::left_in(text, parts),
            Content::Toml(parts) => edit_toml::left_in(text, parts),
            Content::YamlExtension { name, .. } => edit_yaml::left_in(text, name).into_iter().collect(),
            Content::Whole(_) if ownership::is_our_file(text) => {
                vec!["all of it, which is not as homing setup wrote it".to_owned()]
            }
            Content::Whole(_) => Vec::new(),
        }
    }

    /// What has to stand in the file, alone: to be pasted by hand.
    pub(crate) fn snippet(&self) -> String {
        self.add_to(None).unwrap_or_default()
    }

    /// What kind of file it is, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Content::Json(_) => "JSON",
            Content::Toml(_) => "TOML",
            Content::YamlExtension { .. } => "YAML",
            Content::Whole(_) => "text",
        }
    }
}
