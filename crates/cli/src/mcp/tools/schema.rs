//! Schemas as short as models and strict clients like them.

use rmcp::model::JsonObject;
use serde_json::Value;

/// Takes out of an input schema what only says that an argument may be left out, which `required` says already, and
/// how wide a number is in memory.
pub(super) fn plain(schema: &JsonObject) -> JsonObject {
    let mut plain = schema.clone();
    plain.remove("$schema");
    plain.values_mut().for_each(simplify);
    plain
}

/// Takes out of an output schema how wide a number is in memory: `uint64` is no format of JSON Schema, and clients print
/// warnings about it.
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
