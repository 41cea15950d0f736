//! Adds an entry to a mapping of a YAML file, and removes it. Edits lines, so that everything else
//! stays unchanged. Parses the result again and refuses the edit if anything but the entry differs.

use yaml_rust2::parser::{EventReceiver, Parser};
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Event, Yaml, YamlLoader};

use super::ownership::{CHANGED, STARTS, without_path};
use super::parts::{EditError, YamlPart};

/// Most aliases in a file.
const MAX_ALIASES: usize = 32;

/// Counts the aliases in a text.
struct Aliases(usize);

impl EventReceiver for Aliases {
    fn on_event(&mut self, event: Event) {
        self.0 += usize::from(matches!(event, Event::Alias(_)));
    }
}

/// Adds the entry to the text.
pub(super) fn add(text: &str, part: &YamlPart) -> Result<String, EditError> {
    let expected = expected_entry(part)?;
    match entry(&load(text)?, part) {
        None => insert(text, part, &expected),
        Some(there) if bare(&there) == bare(&expected) && there != expected => {
            insert(&cut(text, part)?, part, &expected)
        }
        // It exists already, or the user has changed it: keep it.
        Some(_) => Ok(text.to_owned()),
    }
}

/// Removes the entry if homing owns it.
pub(super) fn remove(text: &str, part: &YamlPart) -> Result<String, EditError> {
    let expected = expected_entry(part)?;
    match entry(&load(text)?, part) {
        Some(there) if is_owned(&there, &expected) => cut(text, part),
        Some(_) | None => Ok(text.to_owned()),
    }
}

/// Describes the entry if it remains because the user has changed it.
pub(super) fn left_in(text: &str, part: &YamlPart) -> Option<String> {
    let YamlPart { mapping, key, .. } = part;
    entry(&load(text).ok()?, part).map(|_| format!("{key} in {mapping}, {CHANGED}"))
}

/// Whether homing owns an entry: it starts the same command, whatever else the user has added.
fn is_owned(there: &Yaml, expected: &Yaml) -> bool {
    STARTS.iter().all(|key| bare(&there[*key]) == bare(&expected[*key]))
}

fn insert(text: &str, part: &YamlPart, expected: &Yaml) -> Result<String, EditError> {
    let mut all: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if let Some(last) = all.last_mut().filter(|last| !last.ends_with('\n')) {
        last.push('\n');
    }
    let at = match all.iter().position(|line| is_head(line, part.mapping)) {
        Some(head) => head + 1,
        None => {
            all.push(format!("{}:\n", part.mapping));
            all.len()
        }
    };
    let indent = all[at..].iter().find(|line| !is_empty(line)).map_or(0, |line| indent_of(line));
    all.insert(at, block(part, if indent == 0 { 2 } else { indent }));
    let changed = all.concat();
    let (before, after) = (load(text)?, load(&changed)?);
    let is_right =
        entry(&after, part).as_ref() == Some(expected) && without(&after, part) == without(&before, part);
    if is_right { Ok(changed) } else { Err(unsupported_layout(part)) }
}

/// Removes the lines of an entry.
fn cut(text: &str, part: &YamlPart) -> Result<String, EditError> {
    let refused = || unsupported_layout(part);
    let mut all: Vec<&str> = text.split_inclusive('\n').collect();
    let head = all.iter().position(|line| is_head(line, part.mapping)).ok_or_else(refused)?;
    let is_entry = |line: &&str| {
        line.trim_start().split('#').next().unwrap_or_default().trim_end() == format!("{}:", part.key)
    };
    let first = head + 1 + all[head + 1..].iter().position(is_entry).ok_or_else(refused)?;
    let indent = indent_of(all[first]);
    let length =
        all[first + 1..].iter().take_while(|line| !is_empty(line) && indent_of(line) > indent).count();
    all.drain(first..=first + length);
    let mut changed = all.concat();
    if load(&changed)?[part.mapping].is_null() {
        all.remove(head);
        changed = all.concat();
    }
    let (before, after) = (load(text)?, load(&changed)?);
    let is_right = entry(&after, part).is_none() && without(&after, part) == without(&before, part);
    if is_right { Ok(changed) } else { Err(refused()) }
}

fn unsupported_layout(part: &YamlPart) -> EditError {
    EditError(format!("\"{}\" has a layout that homing cannot edit", part.mapping))
}

fn load(text: &str) -> Result<Yaml, EditError> {
    // Loading repeats the content of each alias: a few nested ones would need all memory.
    let mut aliases = Aliases(0);
    let mut parser = Parser::new_from_str(text);
    parser.load(&mut aliases, true).map_err(|error| EditError(error.to_string()))?;
    if aliases.0 > MAX_ALIASES {
        return Err(EditError(format!("it has more than {MAX_ALIASES} aliases")));
    }
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| EditError(error.to_string()))?;
    match (documents.pop(), documents.is_empty()) {
        (None | Some(Yaml::Null), _) => Ok(Yaml::Hash(Hash::new())),
        (Some(Yaml::Hash(map)), true) => Ok(Yaml::Hash(map)),
        (Some(_), _) => Err(EditError("the top level is not a mapping".to_owned())),
    }
}

fn entry(document: &Yaml, part: &YamlPart) -> Option<Yaml> {
    match &document[part.mapping][part.key] {
        Yaml::BadValue => None,
        there => Some(there.clone()),
    }
}

/// The document without the entry. An empty mapping counts as absent.
fn without(document: &Yaml, part: &YamlPart) -> Yaml {
    let mut document = document.clone();
    let key = Yaml::from_str(part.mapping);
    if let Yaml::Hash(map) = &mut document {
        if let Some(Yaml::Hash(entries)) = map.get_mut(&key) {
            entries.remove(&Yaml::String(part.key.to_owned()));
        }
        let is_empty = |there: &Yaml| there.is_null() || there.as_hash().is_some_and(Hash::is_empty);
        if map.get(&key).is_some_and(is_empty) {
            map.remove(&key);
        }
    }
    document
}

fn expected_entry(part: &YamlPart) -> Result<Yaml, EditError> {
    let document = load(&format!("{}:\n{}", part.mapping, block(part, 2)))?;
    entry(&document, part).ok_or_else(|| unsupported_layout(part))
}

fn bare(value: &Yaml) -> Yaml {
    match value {
        Yaml::String(text) => Yaml::String(without_path(text)),
        Yaml::Hash(map) => Yaml::Hash(map.iter().map(|(key, value)| (key.clone(), bare(value))).collect()),
        other => other.clone(),
    }
}

fn block(part: &YamlPart, indent: usize) -> String {
    let outer = " ".repeat(indent);
    let inner: String = part.lines.iter().map(|line| format!("{outer}{outer}{line}\n")).collect();
    format!("{outer}{}:\n{inner}", part.key)
}

fn is_head(line: &str, mapping: &str) -> bool {
    line.split('#').next().is_some_and(|line| line.trim_end() == format!("{mapping}:"))
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
