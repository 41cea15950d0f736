//! The parts of a file that the editors add and remove.

use jsonc_parser::cst::CstInputValue;
use toml_edit::Value;

/// A part of a JSON file.
#[derive(Debug)]
pub(crate) enum JsonPart {
    /// A value that must exist and that undo keeps: `"version": 1`.
    Default { key: &'static str, value: CstInputValue },
    /// An entry of an object.
    Entry { object: &'static str, key: &'static str, value: CstInputValue },
    /// A hook for an event. `in_group`: hooks are in groups with a matcher, which is `matcher` for this one.
    Hook { event: &'static str, in_group: bool, matcher: Option<&'static str>, hook: CstInputValue },
}

/// A part of a TOML file.
#[derive(Debug)]
pub(crate) enum TomlPart {
    /// A table with its items.
    Table { parent: &'static str, key: &'static str, items: Vec<(&'static str, Value)> },
    /// A string in a top-level list.
    Item { key: &'static str, item: &'static str },
}

/// An entry of a top-level mapping of a YAML file.
#[derive(Debug)]
pub(crate) struct YamlPart {
    pub(crate) mapping: &'static str,
    pub(crate) key: &'static str,
    /// The lines of the entry, without indentation.
    pub(crate) lines: Vec<String>,
}

/// The state of one part in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartState {
    /// It is missing.
    Absent,
    /// Homing wrote it, and would change it now: another version wrote it, or the program was moved.
    Older,
    /// It is as homing writes it, or the user has replaced it.
    Present,
}

/// Why a text cannot be edited. Then nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EditError(pub(crate) String);
