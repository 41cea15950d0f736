//! The changes that `homing setup` makes to the files of a harness, as data. The command line has the editors that
//! apply them.

/// The changes that configure a harness for homing.
///
/// In its texts, `{program}` is the program `homing` by its name or path, and `{shell_program}` the same, quoted for a
/// shell. Both are escaped as in a JSON string.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The changes, one for each file.
    pub changes: &'static [SetupChange],
    /// Notes for the user: steps that remain after the changes.
    pub notes: &'static [&'static str],
    /// Additional notes when a project is configured.
    pub project_notes: &'static [&'static str],
}

/// The change of one file.
///
/// A path begins with `~/` or with `${VARIABLE:-~/default}`; any other path is relative to the project. Of several
/// paths the first existing file is changed, or else the last one is created.
#[derive(Clone, Copy, Debug)]
pub struct SetupChange {
    /// The file of the user.
    pub user: &'static [&'static str],
    /// The file of a project. Empty if the harness cannot be configured for a single project.
    pub project: &'static [&'static str],
    /// The change.
    pub edit: Edit,
}

/// The format of a file, and what is added to it.
#[derive(Clone, Copy, Debug)]
pub enum Edit {
    /// Parts of a JSON file, with or without comments.
    Json(&'static [JsonEdit]),
    /// Tables of a TOML file.
    Toml(&'static [TomlTable]),
    /// An entry of a YAML file.
    Yaml(YamlEntry),
    /// A whole file, which belongs to homing.
    Whole {
        /// The content.
        text: &'static str,
        /// The part of the content by which homing recognizes a file that it wrote.
        mark: &'static str,
    },
}

/// A part of a JSON file. Values are JSON; their keys are written in this order.
#[derive(Clone, Copy, Debug)]
pub enum JsonEdit {
    /// A value at the top level that must exist, and that undo removes only together with the last hook.
    Default {
        /// The key.
        key: &'static str,
        /// The value, unless the key exists.
        value: &'static str,
    },
    /// An entry of an object at the top level.
    Entry {
        /// The key of the object.
        object: &'static str,
        /// The key of the entry.
        key: &'static str,
        /// The value.
        value: &'static str,
    },
    /// A hook for an event, in the object `hooks`.
    Hook {
        /// The event.
        event: &'static str,
        /// Whether hooks are in groups with a matcher.
        in_group: bool,
        /// The matcher of its group.
        matcher: Option<&'static str>,
        /// The hook.
        hook: &'static str,
    },
}

/// A table of a TOML file, `[parent.key]`.
#[derive(Clone, Copy, Debug)]
pub struct TomlTable {
    /// The table that contains it.
    pub parent: &'static str,
    /// Its key there.
    pub key: &'static str,
    /// Its items.
    pub items: &'static [(&'static str, TomlItem)],
}

/// The value of an item in a TOML table.
#[derive(Clone, Copy, Debug)]
pub enum TomlItem {
    /// A string.
    Text(&'static str),
    /// A list of strings.
    List(&'static [&'static str]),
}

/// An entry of a mapping at the top level of a YAML file.
#[derive(Clone, Copy, Debug)]
pub struct YamlEntry {
    /// The key of the mapping.
    pub mapping: &'static str,
    /// The key of the entry.
    pub key: &'static str,
    /// The lines of the entry, without indentation.
    pub lines: &'static [&'static str],
}
