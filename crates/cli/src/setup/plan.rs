//! Turns the description of a harness into a plan for one scope: its paths, with this program in its texts.

use std::path::PathBuf;

use clap::ValueEnum;
use homing::harness::{Edit, JsonEdit, Profile, Setup, SetupChange, TomlItem, TomlTable};
use jsonc_parser::cst::CstInputValue;
use jsonc_parser::{ast, parse_to_ast};
use toml_edit::{Array, Value};

use super::config_paths::ConfigPaths;
use super::content::Content;
use super::ownership::Program;
use super::parts::{JsonPart, TomlPart, YamlPart};

/// A harness that can be set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Harness {
    /// The name of the harness and of its preset.
    pub(crate) name: &'static str,
    pub(crate) setup: &'static Setup,
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

impl Harness {
    /// The harnesses that can be set up.
    pub(crate) fn all() -> impl Iterator<Item = Harness> {
        Profile::all()
            .filter_map(|profile| Some(Harness { name: profile.name, setup: profile.setup.as_ref().ok()? }))
    }

    /// The harness with this name.
    pub(crate) fn named(name: &str) -> Option<Harness> {
        Harness::all().find(|harness| harness.name == name)
    }

    /// The plan for a scope; `None` if the harness does not have this scope.
    pub(crate) fn plan(self, scope: Scope, paths: &ConfigPaths, program: &Program) -> Option<Plan> {
        let file = |change: &SetupChange| {
            let patterns = match scope {
                Scope::User => change.user,
                Scope::Project => change.project,
            };
            Some(FilePlan { path: paths.first_existing(patterns)?, content: content(change.edit, program) })
        };
        let project_notes = if scope == Scope::Project { self.setup.project_notes } else { &[] };
        let notes = self.setup.notes.iter().chain(project_notes);
        Some(Plan {
            files: self.setup.changes.iter().map(file).collect::<Option<_>>()?,
            notes: notes.map(|note| (*note).to_owned()).collect(),
        })
    }
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

/// The route in a configuration of homing: the preset of the harness notifies its sessions.
pub(super) fn route_in(harness: Harness, config: PathBuf) -> FilePlan {
    let item = TomlPart::Item { key: "agents", item: harness.name };
    FilePlan { path: config, content: Content::Toml(vec![item]) }
}

fn content(edit: Edit, program: &Program) -> Content {
    match edit {
        Edit::Json(edits) => Content::Json(edits.iter().map(|edit| json_part(*edit, program)).collect()),
        Edit::Toml(tables) => Content::Toml(tables.iter().map(|table| toml_part(*table, program)).collect()),
        Edit::Yaml(entry) => Content::Yaml(YamlPart {
            mapping: entry.mapping,
            key: entry.key,
            lines: entry.lines.iter().map(|line| program.fill_json(line)).collect(),
        }),
        Edit::Whole { text, mark } => Content::Whole { text: program.fill_json(text), mark },
    }
}

fn json_part(edit: JsonEdit, program: &Program) -> JsonPart {
    match edit {
        JsonEdit::Default { key, value } => JsonPart::Default { key, value: json_value(value, program) },
        JsonEdit::Entry { object, key, value } => {
            JsonPart::Entry { object, key, value: json_value(value, program) }
        }
        JsonEdit::Hook { event, in_group, matcher, hook } => {
            JsonPart::Hook { event, in_group, matcher, hook: json_value(hook, program) }
        }
    }
}

/// A JSON value with this program in it. Keeps the order of its keys.
fn json_value(text: &str, program: &Program) -> CstInputValue {
    let text = program.fill_json(text);
    let parsed = parse_to_ast(&text, &Default::default(), &Default::default());
    let value = parsed.ok().and_then(|parsed| parsed.value);
    input_value(value.expect("a test sets up every harness"))
}

fn input_value(value: ast::Value<'_>) -> CstInputValue {
    match value {
        ast::Value::NullKeyword(_) => CstInputValue::Null,
        ast::Value::BooleanLit(literal) => CstInputValue::Bool(literal.value),
        ast::Value::NumberLit(literal) => CstInputValue::Number(literal.value.to_owned()),
        ast::Value::StringLit(literal) => CstInputValue::String(literal.value.into_owned()),
        ast::Value::Array(array) => {
            CstInputValue::Array(array.elements.into_iter().map(input_value).collect())
        }
        ast::Value::Object(object) => {
            let property = |it: ast::ObjectProp<'_>| (it.name.into_string(), input_value(it.value));
            CstInputValue::Object(object.properties.into_iter().map(property).collect())
        }
    }
}

fn toml_part(table: TomlTable, program: &Program) -> TomlPart {
    let value = |item: TomlItem| match item {
        TomlItem::Text(text) => Value::from(program.fill(text)),
        TomlItem::Number(number) => Value::from(number),
        TomlItem::List(texts) => Value::from(texts.iter().map(|text| program.fill(text)).collect::<Array>()),
    };
    let items = table.items.iter().map(|(key, item)| (*key, value(*item))).collect();
    TomlPart::Table { parent: table.parent, key: table.key, items }
}
