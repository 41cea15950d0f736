//! Shortens schemas for models and strict clients.

use rmcp::model::JsonObject;
use serde_json::Value;

/// Removes redundant parts of an input schema: null types and defaults of optional arguments, which `required`
/// already expresses, and integer widths.
pub(super) fn plain(schema: &JsonObject) -> JsonObject {
    let mut plain = schema.clone();
    plain.remove("$schema");
    plain.values_mut().for_each(simplify);
    plain
}

/// Removes integer widths from an output schema: `uint64` is not a format of JSON Schema, and clients print warnings
/// about it.
pub(super) fn without_widths(schema: &JsonObject) -> JsonObject {
    let mut schema = schema.clone();
    schema.values_mut().for_each(drop_widths);
    schema
}

fn drop_widths(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, value| !is_width(key, value));
            object.values_mut().for_each(drop_widths);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_widths),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn simplify(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, value| !is_no_default(key, value) && !is_width(key, value));
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = &choices[..] {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            object.values_mut().for_each(simplify);
        }
        Value::Array(values) => values.iter_mut().for_each(simplify),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_no_default(key: &str, value: &Value) -> bool {
    key == "default" && value.is_null()
}

fn is_width(key: &str, value: &Value) -> bool {
    key == "format"
        && value.as_str().is_some_and(|format| {
            ["uint", "int", "float", "double"].iter().any(|number| format.starts_with(number))
        })
}
