//! Compares answers with the description of the API.

use serde_json::Value;

/// The description that the server sends.
pub(crate) struct Description(pub(crate) Value);

impl Description {
    /// Fails if a document has not the form that the description gives for the answer of an operation.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, status: &str, document: &Value) {
        let answer = &self.0["paths"][path][method]["responses"][status]["content"];
        let content = answer.as_object().and_then(|content| content.values().next());
        let content = content.unwrap_or_else(|| panic!("no content for {method} {path} {status}"));
        self.check_value(&content["schema"], document, &format!("{method} {path}"));
    }

    fn check_value(&self, schema: &Value, value: &Value, place: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.trim_start_matches("#/components/schemas/");
            return self.check_value(&self.0["components"]["schemas"][name], value, place);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fits = choices.iter().any(|choice| has_type(choice, value, self));
            assert!(fits, "{place}: {value} is none of {choices:?}");
            let choice = choices.iter().find(|choice| has_type(choice, value, self));
            return choice.into_iter().for_each(|choice| self.check_value(choice, value, place));
        }
        assert!(has_type(schema, value, self), "{place}: {value} has not the type of {schema}");
        match value {
            Value::Object(fields) => {
                let Some(known) = schema["properties"].as_object() else { return };
                for (name, field) in fields {
                    let place = format!("{place}.{name}");
                    let schema = known.get(name).unwrap_or_else(|| panic!("{place} is not described"));
                    self.check_value(schema, field, &place);
                }
                for name in schema["required"].as_array().into_iter().flatten() {
                    assert!(fields.contains_key(name.as_str().expect("a name")), "{place} lacks {name}");
                }
            }
            Value::Array(values) => {
                values
                    .iter()
                    .for_each(|value| self.check_value(&schema["items"], value, &format!("{place}[]")));
            }
            Value::String(text) => {
                if let Some(names) = schema["enum"].as_array() {
                    assert!(names.iter().any(|name| name == text), "{place}: {text} is none of {names:?}");
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Whether a value has one of the types of a schema.
fn has_type(schema: &Value, value: &Value, description: &Description) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.trim_start_matches("#/components/schemas/");
        return has_type(&description.0["components"]["schemas"][name], value, description);
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &schema["type"] {
        Value::String(known) => known == name,
        Value::Array(known) => known.iter().any(|known| known == name),
        // Anything.
        _ => true,
    }
}
