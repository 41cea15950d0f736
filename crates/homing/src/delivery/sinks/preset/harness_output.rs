//! Parses the output of a harness: JSON objects, one a line or one in all, and other text between them.

use homing_core::text::{clean, flatten};
use serde_json::{Map, Value};

use crate::harness::json::at;

/// Longest reason, in characters.
const REASON_CHARS: usize = 300;

/// The output of a harness.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HarnessOutput {
    objects: Vec<Value>,
    /// Text that is not JSON, of both outputs.
    rest: String,
}

impl HarnessOutput {
    pub(super) fn new(stdout: &[u8], stderr: &[u8]) -> HarnessOutput {
        let text = String::from_utf8_lossy(stdout);
        let mut output =
            HarnessOutput { objects: Vec::new(), rest: String::from_utf8_lossy(stderr).into_owned() };
        let whole = text.find('{').zip(text.rfind('}')).and_then(|(start, end)| text.get(start..=end));
        match whole.and_then(|whole| serde_json::from_str(whole).ok()) {
            Some(object) => output.objects.push(object),
            None => {
                for line in text.lines() {
                    match serde_json::from_str::<Value>(line) {
                        Ok(object) if object.is_object() => output.objects.push(object),
                        Ok(_) | Err(_) => {
                            output.rest.push('\n');
                            output.rest.push_str(line);
                        }
                    }
                }
            }
        }
        output
    }

    /// Whether one object has all entries of one proof.
    pub(super) fn proves(&self, proofs: &[Map<String, Value>], session: &str) -> bool {
        let fits = |object: &Value, (key, wanted): (&String, &Value)| match (at(object, key), wanted) {
            (None | Some(Value::Null), wanted) => *wanted == Value::Bool(false),
            (Some(found), Value::String(text)) => found.as_str() == Some(&text.replace("{session}", session)),
            (Some(found), wanted) => found == wanted,
        };
        let has_all =
            |object: &Value| proofs.iter().any(|proof| proof.iter().all(|entry| fits(object, entry)));
        self.objects.iter().any(has_all)
    }

    /// Its error message, shortened.
    pub(super) fn reason(&self, keys: &[String]) -> Option<String> {
        let found = self.objects.iter().rev().find_map(|object| {
            keys.iter()
                .find_map(|key| at(object, key).and_then(Value::as_str).filter(|text| !text.is_empty()))
        })?;
        let text = flatten(&clean(found.as_bytes()).split_whitespace().collect::<Vec<_>>().join(" "));
        let shown: String = text.chars().take(REASON_CHARS).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        Some(format!("{shown}{more}"))
    }

    /// The first line that contains one of these texts. Searches only text of the harness, not of its agent.
    pub(super) fn line_with(&self, texts: &[String]) -> Option<String> {
        let rest = clean(self.rest.as_bytes());
        let line = rest.lines().find(|line| texts.iter().any(|text| line.contains(text.as_str())))?;
        Some(flatten(line).chars().take(REASON_CHARS).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proof(value: Value) -> Vec<Map<String, Value>> {
        vec![value.as_object().unwrap().clone()]
    }

    #[test]
    fn one_object_has_to_have_all_of_a_proof() {
        let lines = b"noise\n{\"type\":\"a\",\"n\":{\"id\":\"s\"}}\n{\"type\":\"b\"}\n";
        let output = HarnessOutput::new(lines, b"");
        assert!(output.proves(&proof(json!({"type": "a", "n.id": "{session}", "is_error": false})), "s"));
        assert!(!output.proves(&proof(json!({"type": "b", "n.id": "{session}"})), "s"));
        assert!(!output.proves(&proof(json!({"type": "a", "n.id": "{session}"})), "t"));
        let pretty = HarnessOutput::new(b"Loaded.\n{\n \"session_id\": \"s\",\n \"error\": null\n}\n", b"");
        assert!(pretty.proves(&proof(json!({"session_id": "s", "error": false})), "s"));
        let failed = HarnessOutput::new(b"{\"session_id\":\"s\",\"error\":{\"message\":\"no\"}}", b"");
        assert!(!failed.proves(&proof(json!({"session_id": "s", "error": false})), "s"));
        assert_eq!(failed.reason(&["error.message".to_owned()]).as_deref(), Some("no"));
    }

    #[test]
    fn text_of_the_agent_is_not_mistaken_for_text_of_the_harness() {
        let texts = ["not found".to_owned()];
        assert_eq!(HarnessOutput::new(b"{\"result\":\"Session not found\"}", b"").line_with(&texts), None);
        let output = HarnessOutput::new(b"", b"\x1b[91m\x1b[1mError: \x1b[0mSession not found\n");
        assert_eq!(output.line_with(&texts).as_deref(), Some("Error: Session not found"));
    }
}
