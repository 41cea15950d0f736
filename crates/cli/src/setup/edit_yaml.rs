//! Adds an entry to the mapping `extensions` of a YAML file, and removes it. Edits lines, so that everything else
//! stays unchanged. Parses the result again and refuses the edit if anything but the entry differs.

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

use super::EditError;
use super::ownership::{CHANGED, STARTS, without_path};

const MAPPING: &str = "extensions";

/// Adds the entry to the text.
pub(super) fn add(text: &str, name: &str, lines: &[String]) -> Result<String, EditError> {
    let expected = expected_entry(name, lines)?;
    match entry(&load(text)?, name) {
        None => insert(text, name, lines, &expected),
        Some(there) if bare(&there) == bare(&expected) && there != expected => {
            insert(&cut(text, name)?, name, lines, &expected)
        }
        // It exists already, or the user has changed it: keep it.
        Some(_) => Ok(text.to_owned()),
    }
}

/// Removes the entry if homing owns it.
pub(super) fn remove(text: &str, name: &str, lines: &[String]) -> Result<String, EditError> {
    let expected = expected_entry(name, lines)?;
    match entry(&load(text)?, name) {
        Some(there) if is_owned(&there, &expected) => cut(text, name),
        Some(_) | None => Ok(text.to_owned()),
    }
}

/// Describes the entry if it remains because the user has changed it.
pub(super) fn left_in(text: &str, name: &str) -> Option<String> {
    entry(&load(text).ok()?, name).map(|_| format!("{name} in {MAPPING}, {CHANGED}"))
}

/// Whether homing owns an entry: it starts the same command, whatever else the user has added.
fn is_owned(there: &Yaml, expected: &Yaml) -> bool {
    STARTS.iter().all(|key| bare(&there[*key]) == bare(&expected[*key]))
}

fn insert(text: &str, name: &str, lines: &[String], expected: &Yaml) -> Result<String, EditError> {
    let mut all: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = all.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
    let at = match all.iter().position(|line| is_head(line)) {
        Some(head) => head + 1,
        None => {
            all.push(format!("{MAPPING}:\n"));
            all.len()
        }
    };
    let indent = all[at..].iter().find(|line| !is_empty(line)).map_or(0, |line| indent_of(line));
    all.insert(at, block(name, lines, if indent == 0 { 2 } else { indent }));
    let changed = all.concat();
    let (before, after) = (load(text)?, load(&changed)?);
    let is_right =
        entry(&after, name).as_ref() == Some(expected) && without(&after, name) == without(&before, name);
    if is_right { Ok(changed) } else { Err(unsupported_layout()) }
}

/// Removes the lines of an entry.
fn cut(text: &str, name: &str) -> Result<String, EditError> {
    let mut all: Vec<&str> = text.split_inclusive('\n').collect();
    let head = all.iter().position(|line| is_head(line)).ok_or_else(unsupported_layout)?;
    let is_entry = |line: &&str| {
        line.trim_start().split('#').next().unwrap_or_default().trim_end() == format!("{name}:")
    };
    let first = head + 1 + all[head + 1..].iter().position(is_entry).ok_or_else(unsupported_layout)?;
    let indent = indent_of(all[first]);
    let length =
        all[first + 1..].iter().take_while(|line| !is_empty(line) && indent_of(line) > indent).count();
    all.drain(first..=first + length);
    let mut changed = all.concat();
    if load(&changed)?[MAPPING].is_null() {
        all.remove(head);
        changed = all.concat();
    }
    let (before, after) = (load(text)?, load(&changed)?);
    let is_right = entry(&after, name).is_none() && without(&after, name) == without(&before, name);
    if is_right { Ok(changed) } else { Err(unsupported_layout()) }
}

fn unsupported_layout() -> EditError {
    EditError(format!("\"{MAPPING}\" has a layout that homing cannot edit"))
}

fn load(text: &str) -> Result<Yaml, EditError> {
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| EditError(error.to_string()))?;
    match (documents.pop(), documents.is_empty()) {
        (None | Some(Yaml::Null), _) => Ok(Yaml::Hash(Hash::new())),
        (Some(Yaml::Hash(map)), true) => Ok(Yaml::Hash(map)),
        (Some(_), _) => Err(EditError("the top level is not a mapping".to_owned())),
    }
}

fn entry(document: &Yaml, name: &str) -> Option<Yaml> {
    match &document[MAPPING][name] {
        Yaml::BadValue => None,
        there => Some(there.clone()),
    }
}

/// The document without the entry. An empty mapping counts as absent.
fn without(document: &Yaml, name: &str) -> Yaml {
    let mut document = document.clone();
    let key = Yaml::from_str(MAPPING);
    if let Yaml::Hash(map) = &mut document {
        if let Some(Yaml::Hash(entries)) = map.get_mut(&key) {
            entries.remove(&Yaml::String(name.to_owned()));
        }
        let is_empty = |there: &Yaml| there.is_null() || there.as_hash().is_some_and(Hash::is_empty);
        if map.get(&key).is_some_and(is_empty) {
            map.remove(&key);
        }
    }
    document
}

fn expected_entry(name: &str, lines: &[String]) -> Result<Yaml, EditError> {
    let document = load(&format!("{MAPPING}:\n{}", block(name, lines, 2)))?;
    entry(&document, name).ok_or_else(unsupported_layout)
}

fn bare(value: &Yaml) -> Yaml {
    match value {
        Yaml::String(text) => Yaml::String(without_path(text)),
        Yaml::Hash(map) => Yaml::Hash(map.iter().map(|(key, value)| (key.clone(), bare(value))).collect()),
        other => other.clone(),
    }
}

fn block(name: &str, lines: &[String], indent: usize) -> String {
    let outer = " ".repeat(indent);
    let inner: String = lines.iter().map(|line| format!("{outer}{outer}{line}\n")).collect();
    format!("{outer}{name}:\n{inner}")
}

fn is_head(line: &str) -> bool {
    line.split('#').next().is_some_and(|line| line.trim_end() == format!("{MAPPING}:"))
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
