//! The required content of a file, and its editor by format.

use super::ownership::same_but_program;
use super::parts::{EditError, JsonPart, PartState, TomlPart, YamlPart};
use super::{edit_json, edit_toml, edit_yaml};

/// The name of the part that starts the MCP server.
const SERVER: &str = "MCP server";

/// The required content of a file.
#[derive(Debug)]
pub(crate) enum Content {
    /// Parts of a JSON file, with comments or without.
    Json(Vec<JsonPart>),
    /// Parts of a TOML file.
    Toml(Vec<TomlPart>),
    /// An entry of a YAML file.
    Yaml(YamlPart),
    /// A whole file that homing owns. Homing wrote a file that contains `mark`.
    Whole { text: String, mark: &'static str },
}

impl Content {
    /// The text with the required content; the same text if it is complete. `None` is a missing file.
    pub(crate) fn add_to(&self, text: Option<&str>) -> Result<String, EditError> {
        match self {
            Content::Json(parts) => edit_json::add(text.unwrap_or_default(), parts),
            Content::Toml(parts) => edit_toml::add(text.unwrap_or_default(), parts),
            Content::Yaml(part) => edit_yaml::add(text.unwrap_or_default(), part),
            Content::Whole { text: whole, mark } => match text {
                Some(text) if !text.contains(mark) => {
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
            Content::Yaml(part) => edit_yaml::remove(text, part).map(Some),
            Content::Whole { text: whole, .. } if same_but_program(text, whole) => Ok(None),
            Content::Whole { .. } => Ok(Some(text.to_owned())),
        }
    }

    /// Describes entries of homing that remain after removal because the user has changed them.
    pub(crate) fn left_in(&self, text: &str) -> Vec<String> {
        match self {
            Content::Json(parts) => edit_json::left_in(text, parts),
            Content::Toml(parts) => edit_toml::left_in(text, parts),
            Content::Yaml(part) => edit_yaml::left_in(text, part).into_iter().collect(),
            Content::Whole { mark, .. } if text.contains(mark) => {
                vec!["the whole file, which differs from what homing setup wrote".to_owned()]
            }
            Content::Whole { .. } => Vec::new(),
        }
    }

    /// The names of the parts, for people, and their states in a text. `None` is a missing file.
    pub(crate) fn states(&self, text: Option<&str>) -> Result<Vec<(String, PartState)>, EditError> {
        let text = text.unwrap_or_default();
        match self {
            Content::Json(parts) => {
                let mut states = Vec::new();
                for part in parts {
                    let Some(name) = json_name(part) else { continue };
                    let only = std::slice::from_ref(part);
                    let (with, without) = (edit_json::add(text, only)?, edit_json::remove(text, only)?);
                    states.push((name, state(text, &with, &without)));
                }
                Ok(states)
            }
            Content::Toml(parts) => {
                let mut states = Vec::new();
                for part in parts {
                    let only = std::slice::from_ref(part);
                    let (with, without) = (edit_toml::add(text, only)?, edit_toml::remove(text, only)?);
                    states.push((toml_name(part), state(text, &with, &without)));
                }
                Ok(states)
            }
            Content::Yaml(part) => {
                let (with, without) = (edit_yaml::add(text, part)?, edit_yaml::remove(text, part)?);
                Ok(vec![(SERVER.to_owned(), state(text, &with, &without))])
            }
            Content::Whole { text: whole, .. } => {
                let state = match text {
                    "" => PartState::Absent,
                    text if text == whole => PartState::Present,
                    // Fails for a file that homing did not write.
                    text => self.add_to(Some(text)).map(|_| PartState::Older)?,
                };
                Ok(vec![("plugin".to_owned(), state)])
            }
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
            Content::Yaml(_) => "YAML",
            Content::Whole { .. } => "text",
        }
    }
}

/// The state of a part, from the text, the text with the part and the text without it.
fn state(text: &str, with: &str, without: &str) -> PartState {
    if text.trim().is_empty() {
        return PartState::Absent;
    }
    match (text == with, text == without) {
        (true, _) => PartState::Present,
        (false, true) => PartState::Absent,
        (false, false) => PartState::Older,
    }
}

/// The name of a part; `None` for a value that only accompanies other parts.
fn json_name(part: &JsonPart) -> Option<String> {
    match part {
        JsonPart::Default { .. } => None,
        JsonPart::Entry { .. } => Some(SERVER.to_owned()),
        JsonPart::Hook { event, .. } => Some(format!("hook {event}")),
    }
}

fn toml_name(part: &TomlPart) -> String {
    match part {
        TomlPart::Table { .. } => SERVER.to_owned(),
        TomlPart::Item { .. } => "route".to_owned(),
    }
}
