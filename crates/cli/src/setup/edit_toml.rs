//! Adds parts to a TOML file and removes them. Keeps everything else, including comments.

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value, value};

use super::ownership::{CHANGED, STARTS, without_path};
use super::parts::{EditError, TomlPart};

/// Adds these parts to the text.
pub(super) fn add(text: &str, parts: &[TomlPart]) -> Result<String, EditError> {
    let mut document = parse(text)?;
    for part in parts {
        match part {
            TomlPart::Table { parent, key, items } => {
                if document.get(parent).is_none() {
                    let mut table = Table::new();
                    table.set_implicit(true);
                    document.insert(parent, Item::Table(table));
                }
                let tables = document.get_mut(parent).and_then(Item::as_table_like_mut);
                let tables = tables.ok_or_else(|| wrong(parent, "a table"))?;
                match tables.get(key) {
                    None => drop(tables.insert(key, new_table(items, text.is_empty()))),
                    Some(there) if is_owned(there, items) => {
                        if let Some(there) = tables.get_mut(key).and_then(Item::as_table_like_mut) {
                            complete(there, items);
                        }
                    }
                    // The user has changed it: keep it.
                    Some(_) => {}
                }
            }
            TomlPart::Item { key, item } => {
                if document.get(key).is_none() {
                    document.insert(key, value(Array::new()));
                }
                let list = document.get_mut(key).and_then(Item::as_array_mut);
                let list = list.ok_or_else(|| wrong(key, "a list"))?;
                if !list.iter().any(|there| there.as_str() == Some(item)) {
                    list.push(*item);
                }
            }
        }
    }
    Ok(changed(text, &document))
}

/// Removes those of these parts that homing owns.
pub(super) fn remove(text: &str, parts: &[TomlPart]) -> Result<String, EditError> {
    let mut document = parse(text)?;
    for part in parts {
        match part {
            TomlPart::Table { parent, key, items } => {
                let Some(tables) = document.get_mut(parent).and_then(Item::as_table_like_mut) else {
                    continue;
                };
                if tables.get(key).is_some_and(|there| is_owned(there, items)) {
                    tables.remove(key);
                    if tables.is_empty() {
                        document.remove(parent);
                    }
                }
            }
            TomlPart::Item { key, item } => {
                let Some(list) = document.get_mut(key).and_then(Item::as_array_mut) else { continue };
                list.retain(|there| there.as_str() != Some(item));
                if list.is_empty() {
                    document.remove(key);
                }
            }
        }
    }
    Ok(changed(text, &document))
}

/// Describes the parts that remain because the user has changed them.
pub(super) fn left_in(text: &str, parts: &[TomlPart]) -> Vec<String> {
    let Ok(document) = parse(text) else { return Vec::new() };
    let is_there = |parent: &str, key: &str| {
        document.get(parent).and_then(Item::as_table_like).is_some_and(|tables| tables.contains_key(key))
    };
    let left = |part: &TomlPart| match part {
        TomlPart::Table { parent, key, .. } => {
            is_there(parent, key).then(|| format!("[{parent}.{key}], {CHANGED}"))
        }
        TomlPart::Item { .. } => None,
    };
    parts.iter().filter_map(left).collect()
}

/// The original text if nothing changed, otherwise the new text with the original line endings.
fn changed(text: &str, document: &DocumentMut) -> String {
    let lines = |text: &str| text.replace("\r\n", "\n");
    let after = lines(&document.to_string());
    match after == lines(text) {
        true => text.to_owned(),
        false if text.contains("\r\n") => after.replace('\n', "\r\n"),
        false => after,
    }
}

/// The error names the line. It does not quote it: the file may contain secrets.
fn parse(text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        EditError(format!("{} on line {line}", error.message().trim_end()))
    })
}

fn wrong(key: &str, wanted: &str) -> EditError {
    EditError(format!("{key} is not {wanted}"))
}

fn new_table(items: &[(&'static str, Value)], is_first: bool) -> Item {
    let mut table: Table = items.iter().map(|(key, item)| (*key, item.clone())).collect();
    table.decor_mut().set_prefix(if is_first { "" } else { "\n" });
    Item::Table(table)
}

/// Whether homing owns a table: it starts the same command, whatever else the user has added.
fn is_owned(there: &Item, items: &[(&'static str, Value)]) -> bool {
    let Some(there) = there.as_table_like() else { return false };
    let same = |(key, expected): &(&str, Value)| {
        there.get(key).and_then(Item::as_value).is_some_and(|there| bare(there) == bare(expected))
    };
    items.iter().filter(|(key, _)| STARTS.contains(key)).all(same)
}

/// Adds the items that a table of homing lacks, for example because an earlier version wrote it, and corrects the program
/// that it starts. Keeps values that the user has changed; a list gets the texts that it lacks.
fn complete(there: &mut dyn TableLike, items: &[(&'static str, Value)]) {
    for (key, expected) in items {
        match there.get_mut(key).and_then(Item::as_value_mut) {
            None => {
                if !there.contains_key(key) {
                    there.insert(key, Item::Value(expected.clone()));
                }
            }
            Some(there) if STARTS.contains(key) => {
                if there.as_str().is_some_and(|text| Some(text) != expected.as_str()) {
                    *there = expected.clone();
                }
            }
            Some(Value::Array(there)) => {
                for expected in expected.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if !there.iter().any(|there| there.as_str() == Some(expected)) {
                        there.push(expected);
                    }
                }
            }
            Some(_) => {}
        }
    }
}

/// The content of a value without its layout.
fn bare(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![without_path(text.value())],
        Value::Array(list) => list.iter().flat_map(bare).collect(),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::InlineTable(_) => {
            vec![value.to_string().trim().to_owned()]
        }
    }
}
