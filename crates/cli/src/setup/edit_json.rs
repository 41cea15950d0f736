//! Adds parts to a JSON file and removes them. Keeps every other character: comments, order, indentation.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::Value;

use super::ownership::{CHANGED, STARTS, calls_hook, without_path};
use super::parts::{EditError, JsonPart};

/// Adds these parts to the text.
pub(super) fn add(text: &str, parts: &[JsonPart]) -> Result<String, EditError> {
    let (root, object) = parse(text)?;
    for part in parts {
        match part {
            JsonPart::Default { key, value } => {
                if object.get(key).is_none() {
                    object.append(key, value.clone());
                }
            }
            JsonPart::Entry { object: name, key, value } => {
                let entries = object.object_value_or_create(name).ok_or_else(|| wrong(name, "an object"))?;
                match entries.get(key).map(|entry| (entry.to_serde_value(), entry)) {
                    None => drop(entries.append(key, value.clone())),
                    Some((Some(there), entry)) if is_same(&there, value) && there != plain(value) => {
                        // Write it in the layout of a new entry, so that undo removes it like a new one.
                        entry.remove();
                        entries.append(key, value.clone());
                    }
                    Some((Some(there), _)) if is_owned(&there, value) => {
                        if let Some(entry) = entries.object_value(key) {
                            complete(&entry, value);
                        }
                    }
                    // It starts something else: keep it.
                    Some(_) => {}
                }
            }
            JsonPart::Hook { event, in_group, matcher, hook } => {
                let hooks =
                    object.object_value_or_create("hooks").ok_or_else(|| wrong("hooks", "an object"))?;
                let list = hooks.array_value_or_create(event).ok_or_else(|| wrong(event, "a list"))?;
                add_hook(&list, *in_group, *matcher, hook);
            }
        }
    }
    let changed = root.to_string();
    Ok(if text.is_empty() { changed.trim_end().to_owned() + "\n" } else { changed })
}

/// Removes those of these parts that homing owns.
pub(super) fn remove(text: &str, parts: &[JsonPart]) -> Result<String, EditError> {
    let (root, object) = parse(text)?;
    for part in parts {
        match part {
            // Other hooks need it too; see below.
            JsonPart::Default { .. } => {}
            JsonPart::Entry { object: name, key, value } => {
                let Some(entries) = object.object_value(name) else { continue };
                let Some(entry) = entries.get(key) else { continue };
                if entry.to_serde_value().is_some_and(|there| is_owned(&there, value)) {
                    entry.remove();
                    remove_if_empty(&object, name);
                }
            }
            JsonPart::Hook { event, hook, .. } => {
                let Some(hooks) = object.object_value("hooks") else { continue };
                let Some(list) = hooks.array_value(event) else { continue };
                if remove_hook(&list, hook) {
                    remove_if_empty(&hooks, event);
                    remove_if_empty(&object, "hooks");
                }
            }
        }
    }
    for part in parts {
        if let JsonPart::Default { key, value } = part
            && object.get("hooks").is_none()
            && let Some(property) = object.get(key)
            && property.to_serde_value() == Some(plain(value))
        {
            property.remove();
        }
    }
    Ok(root.to_string())
}

/// Describes the parts that remain because the user has changed them.
pub(super) fn left_in(text: &str, parts: &[JsonPart]) -> Vec<String> {
    let Ok((_, object)) = parse(text) else { return Vec::new() };
    let mut left = Vec::new();
    for part in parts {
        match part {
            JsonPart::Default { .. } => {}
            JsonPart::Entry { object: name, key, .. } => {
                if object.object_value(name).is_some_and(|entries| entries.get(key).is_some()) {
                    left.push(format!("\"{key}\" in \"{name}\", {CHANGED}"));
                }
            }
            JsonPart::Hook { event, .. } => {
                let list = object.object_value("hooks").and_then(|hooks| hooks.array_value(event));
                let Some(list) = list else { continue };
                let commands = commands_in(&list).into_iter().filter(|command| calls_hook(command));
                left.extend(commands.map(|command| format!("the hook for {event} that runs: {command}")));
            }
        }
    }
    // homing may have two hooks for the same event.
    left.dedup();
    left
}

/// The commands of the hooks in a list and in its groups.
fn commands_in(list: &CstArray) -> Vec<String> {
    let hooks = list.elements().into_iter().flat_map(|element| match hooks_of(&element) {
        Some(hooks) => hooks.elements(),
        None => vec![element],
    });
    let command = |hook: CstNode| Some(hook.to_serde_value()?.get("command")?.as_str()?.to_owned());
    hooks.filter_map(command).collect()
}

/// Adds the keys that an entry of homing lacks, for example because an earlier version wrote it, and corrects what it
/// starts. Keeps values that the user has changed.
fn complete(entry: &CstObject, expected: &CstInputValue) {
    let CstInputValue::Object(expected) = expected else { return };
    for (key, value) in expected {
        match entry.get(key) {
            None => drop(entry.append(key, value.clone())),
            Some(property) => {
                if STARTS.contains(&key.as_str()) && property.to_serde_value() != Some(plain(value)) {
                    property.set_value(value.clone());
                }
            }
        }
    }
}

/// The value of a key in an object at the top level. `None` if the text has no such value or is not JSON.
pub(super) fn value_at(text: &str, object: &str, key: &str) -> Option<Value> {
    let (_, root) = parse(text).ok()?;
    root.object_value(object)?.get(key)?.to_serde_value()
}

fn parse(text: &str) -> Result<(CstRootNode, CstObject), EditError> {
    // Accept and keep comments and trailing commas, even if the harness itself refuses them.
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
    };
    let root = CstRootNode::parse(text, &options).map_err(|error| EditError(error.to_string()))?;
    let object = root
        .object_value_or_create()
        .ok_or_else(|| EditError("the top level is not an object".to_owned()))?;
    Ok((root, object))
}

fn wrong(key: &str, wanted: &str) -> EditError {
    EditError(format!("\"{key}\" is not {wanted}"))
}

fn add_hook(list: &CstArray, in_group: bool, matcher: Option<&str>, hook: &CstInputValue) {
    match find_hook(list, hook) {
        Some(found) if found.to_serde_value() == Some(plain(hook)) => {}
        Some(found) => {
            if let Some(object) = found.as_object() {
                object.replace_with(hook.clone());
            }
        }
        None if in_group => {
            // A new group beside the existing ones for the same event.
            let hooks = CstInputValue::Array(vec![hook.clone()]);
            let matcher =
                matcher.map(|matcher| ("matcher".to_owned(), CstInputValue::String(matcher.to_owned())));
            list.append(CstInputValue::Object(
                matcher.into_iter().chain([("hooks".to_owned(), hooks)]).collect(),
            ));
        }
        None => drop(list.append(hook.clone())),
    }
}

/// Removes a hook, and the group that it leaves empty.
fn remove_hook(list: &CstArray, hook: &CstInputValue) -> bool {
    let Some(found) = find_hook(list, hook) else { return false };
    let group = list.elements().into_iter().find(|group| {
        hooks_of(group).is_some_and(|hooks| hooks.elements().len() == 1 && find_among(&hooks, hook).is_some())
            && group.as_object().is_some_and(|group| is_only_hooks(&group))
    });
    match group {
        Some(group) => group.remove(),
        None => found.remove(),
    }
    true
}

/// Whether a group has nothing but hooks and a matcher.
fn is_only_hooks(group: &CstObject) -> bool {
    let others = usize::from(group.get("matcher").is_some()) + 1;
    group.properties().len() == others
}

/// The hook with the same command in the list or in one of its groups.
fn find_hook(list: &CstArray, hook: &CstInputValue) -> Option<CstNode> {
    find_among(list, hook)
        .or_else(|| list.elements().iter().filter_map(hooks_of).find_map(|hooks| find_among(&hooks, hook)))
}

fn find_among(list: &CstArray, hook: &CstInputValue) -> Option<CstNode> {
    let wanted = command_of(&plain(hook))?;
    list.elements().into_iter().find(|element| {
        element.to_serde_value().and_then(|element| command_of(&element)).is_some_and(|it| it == wanted)
    })
}

fn hooks_of(group: &CstNode) -> Option<CstArray> {
    group.as_object()?.array_value("hooks")
}

/// The command of a hook, without the path of the program.
fn command_of(hook: &Value) -> Option<String> {
    hook.get("command")?.as_str().map(without_path)
}

fn remove_if_empty(object: &CstObject, key: &str) {
    let Some(property) = object.get(key) else { return };
    let is_empty = match property.to_serde_value() {
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => false,
    };
    if is_empty {
        property.remove();
    }
}

/// Whether two values are equal except for the path of the program.
fn is_same(there: &Value, expected: &CstInputValue) -> bool {
    bare(there) == bare(&plain(expected))
}

/// Whether homing owns an entry: it starts the same command, whatever else the user has added.
fn is_owned(there: &Value, expected: &CstInputValue) -> bool {
    let expected = plain(expected);
    STARTS.iter().all(|key| there.get(key).map(bare) == expected.get(key).map(bare))
}

fn bare(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_path(text)),
        Value::Array(list) => list.iter().map(bare).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), bare(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn plain(value: &CstInputValue) -> Value {
    match value {
        CstInputValue::Null => Value::Null,
        CstInputValue::Bool(value) => Value::Bool(*value),
        CstInputValue::Number(text) => text.parse().map_or(Value::Null, Value::Number),
        CstInputValue::String(text) => Value::String(text.clone()),
        CstInputValue::Array(list) => list.iter().map(plain).collect(),
        CstInputValue::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
    }
}
