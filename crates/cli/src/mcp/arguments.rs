//! Arguments of a call. Models also use names that they know from other tools: these are accepted, and mapped to waiting
//! and never to ending a job. Unknown arguments are named and ignored, so that a call does not fail because of one.

use homing::core::text::one_line;
use rmcp::model::{JsonObject, Tool};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::ToolError;

/// The argument that names jobs, whatever name a call uses.
const JOB_IDS: &str = "job_ids";

/// Other names of [`JOB_IDS`].
const OTHER_ID_NAMES: [&str; 7] = ["job_id", "id", "ids", "task_id", "task_ids", "bash_id", "shell_id"];

/// Other names of arguments, from the shell tools of Claude Code, Codex, Gemini CLI and opencode. A name applies only to
/// tools that have the argument.
const OTHER_NAMES: [(&str, &str); 9] = [
    ("timeout", "wait_ms"),
    ("timeout_ms", "wait_ms"),
    ("yield_time_ms", "wait_ms"),
    ("cmd", "command"),
    ("workdir", "cwd"),
    ("dir_path", "cwd"),
    ("is_background", "run_in_background"),
    ("cursor", "from_byte"),
    ("offset", "from_byte"),
];

/// Most ids in one call.
const MAX_JOBS: usize = 20;

/// Most ignored arguments that are named, and the longest name, in characters.
const MAX_NAMED: usize = 10;
const MAX_NAME_CHARS: usize = 40;

/// The arguments of a call under the names of the tool.
pub(super) struct Arguments {
    known: JsonObject,
    ignored: Vec<String>,
}

impl Arguments {
    /// Sorts the arguments of a call. `null` counts as absent.
    ///
    /// # Errors
    /// If ids of jobs are neither a string nor a list, or if `mode` has an unknown value.
    pub(super) fn new(tool: &Tool, arguments: JsonObject) -> Result<Arguments, ToolError> {
        let properties = tool.input_schema.get("properties").and_then(Value::as_object);
        let has = |name: &str| properties.is_some_and(|properties| properties.contains_key(name));
        let (has_jobs, has_any) = (has(JOB_IDS) || has("job_id"), has("any"));
        let (mut known, mut others, mut ignored) = (JsonObject::new(), Vec::new(), Vec::new());
        for (name, value) in arguments.into_iter().filter(|(_, value)| !value.is_null()) {
            match name.as_str() {
                JOB_IDS if has_jobs => drop(known.insert(name, job_ids(value)?)),
                name if has_jobs && OTHER_ID_NAMES.contains(&name) => {
                    others.push((name.to_owned(), JOB_IDS, job_ids(value)?));
                }
                "mode" if has_any => others.push((name, "any", is_any(&value)?)),
                "block" if has_any && value.is_boolean() => {
                    if value == false {
                        others.push((name, "wait_ms", 0.into()));
                    }
                }
                name if has(name) => drop(known.insert(name.to_owned(), value)),
                name => match OTHER_NAMES.iter().find(|(other, meant)| *other == name && has(meant)) {
                    Some((_, meant)) => others.push((name.to_owned(), meant, value)),
                    None => ignored.push(name.to_owned()),
                },
            }
        }
        for (name, meant, value) in others {
            // An argument under its own name is preferred, then the first other name.
            match known.contains_key(meant) {
                true => ignored.push(name),
                false => drop(known.insert(meant.to_owned(), value)),
            }
        }
        Ok(Arguments { known, ignored })
    }

    /// Sets an argument.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.known.insert(name.to_owned(), value);
    }

    /// The line that names ignored arguments; empty if there are none.
    pub(super) fn ignored(&self) -> String {
        if self.ignored.is_empty() {
            return String::new();
        }
        let named: Vec<String> =
            self.ignored.iter().take(MAX_NAMED).map(|name| one_line(name, MAX_NAME_CHARS)).collect();
        let more = match self.ignored.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("Ignored: {}{more}.\n", named.join(", "))
    }

    /// Reads the arguments of a tool.
    ///
    /// # Errors
    /// If an argument is missing or has the wrong type.
    pub(super) fn parse<T: DeserializeOwned>(self) -> Result<T, ToolError> {
        serde_path_to_error::deserialize(Value::Object(self.known)).map_err(|error| {
            let message = match error.path().to_string().as_str() {
                "." => format!("invalid arguments: {}", error.inner()),
                place => format!("invalid argument {place}: {}", error.inner()),
            };
            ToolError::arguments(
                message,
                "see the input schema of this tool; times are whole milliseconds, without quotes",
            )
        })
    }
}

/// A list of ids, also from one string: an id, several ids, or a list as JSON.
fn job_ids(value: Value) -> Result<Value, ToolError> {
    match value {
        Value::Array(_) => Ok(value),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Array(ids)) => Ok(Value::Array(ids)),
            _ => {
                let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
                Ok(ids.map(Value::from).collect())
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(ToolError::arguments(
            format!("job_ids is {value}"),
            "give a list of job ids in quotes, such as [\"3f9c0a1b2c4d\"]",
        )),
    }
}

fn is_any(mode: &Value) -> Result<Value, ToolError> {
    match mode.as_str() {
        Some("any") => Ok(true.into()),
        Some("all") => Ok(false.into()),
        _ => Err(ToolError::arguments(format!("mode is {mode}"), "give any: true, or leave it out")),
    }
}

/// Checks the number of ids.
///
/// # Errors
/// If there are none or too many.
pub(super) fn check_job_ids(job_ids: Vec<String>) -> Result<Vec<String>, ToolError> {
    match job_ids.len() {
        1..=MAX_JOBS => Ok(job_ids),
        0 => Err(ToolError::arguments("job_ids is empty", "call list_jobs to see the jobs of this session")),
        count => Err(ToolError::arguments(
            format!("job_ids has {count} ids"),
            format!("pass at most {MAX_JOBS} in one call"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(properties: Value, arguments: Value) -> (Value, String) {
        let schema = json!({"type": "object", "properties": properties});
        let tool = Tool::new("t", "d", schema.as_object().unwrap().clone());
        let arguments = Arguments::new(&tool, arguments.as_object().unwrap().clone());
        let arguments = arguments.map_err(|error| error.text()).unwrap();
        let ignored = arguments.ignored();
        (Value::Object(arguments.known), ignored)
    }

    #[test]
    fn names_of_other_tools_are_mapped_to_waiting() {
        let tool = json!({"job_ids": {}, "any": {}, "wait_ms": {}});
        let (known, ignored) = sorted(tool.clone(), json!({"task_id": "a", "block": false, "mode": "any"}));
        assert_eq!((known, ignored.as_str()), (json!({"job_ids": ["a"], "any": true, "wait_ms": 0}), ""));
        let (known, ignored) =
            sorted(tool, json!({"job_ids": "a,b, c", "timeout": 5, "timeout_ms": 6, "any": null}));
        assert_eq!(known, json!({"job_ids": ["a", "b", "c"], "wait_ms": 5}));
        assert_eq!(ignored, "Ignored: timeout_ms.\n");
    }

    #[test]
    fn names_apply_only_to_tools_that_have_the_argument() {
        let (known, ignored) =
            sorted(json!({"job_id": {}}), json!({"job_id": "[\"a\"]", "timeout": 5, "x\ny": 1}));
        assert_eq!((known, ignored.as_str()), (json!({"job_ids": ["a"]}), "Ignored: timeout, x ⏎ y.\n"));
    }

    #[test]
    fn many_ignored_arguments_are_one_short_line() {
        let arguments: JsonObject = (0..10_000).map(|number| (format!("{number:0>500}"), json!(1))).collect();
        let (known, ignored) = sorted(json!({}), Value::Object(arguments));
        assert!(known == json!({}) && ignored.chars().count() < 500, "{ignored}");
        assert!(ignored.ends_with(" and 9990 more.\n") && ignored.lines().count() == 1, "{ignored}");
    }
}
