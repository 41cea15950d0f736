//! Parses the request of a harness in any API: the newest message and the tools.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::rule::{Action, Answered, Asked, JOB_ID, Rule, Who, Whole};

/// Names of shell tools, in the order of preference.
const SHELLS: [&str; 7] =
    ["Bash", "bash", "exec_command", "shell_command", "run_shell_command", "shell", "local_shell"];

/// The parts of a request that the script uses.
pub(super) struct Request {
    who: Option<Who>,
    text: String,
    conversation: String,
    /// The tools, each with its input properties.
    tools: Map<String, Value>,
    /// The namespaces of tools that have one.
    namespaces: HashMap<String, Value>,
    /// The whole request, as JSON: it names the tools that the model must search for.
    whole: String,
}

/// The tool of Claude Code that loads the definitions of other tools.
const TOOL_SEARCH: &str = "ToolSearch";

/// The answer of the model.
pub(super) enum Answer {
    Say(String),
    Call {
        tool: String,
        /// Null for most tools.
        namespace: Value,
        arguments: Value,
    },
}

impl Request {
    pub(super) fn new(body: &Value) -> Request {
        let messages = if body["messages"].is_null() { &body["contents"] } else { &body["messages"] };
        let messages = match (&body["input"], messages) {
            (Value::Array(items), _) | (Value::Null, Value::Array(items)) => items.clone(),
            (Value::Null, _) => Vec::new(),
            (input, _) => vec![json!({"role": "user", "content": input})],
        };
        // A model goes on with what it was about to do when a search for tools has answered.
        let newest =
            messages.iter().rev().filter(|message| !is_search_result(message)).find_map(sender_and_text);
        let (who, text) = newest.map_or((None, String::new()), |(who, text)| (Some(who), text));
        let groups = body["tools"].as_array().into_iter().flatten();
        let mut namespaces = HashMap::new();
        let all: Vec<&Value> = groups
            .flat_map(|tool| match (tool["functionDeclarations"].as_array(), tool["tools"].as_array()) {
                (Some(declared), _) => declared.iter().collect(),
                (None, Some(named)) => {
                    let names = named.iter().filter_map(|tool| tool["name"].as_str());
                    namespaces.extend(names.map(|name| (name.to_owned(), tool["name"].clone())));
                    named.iter().collect()
                }
                (None, None) => vec![tool],
            })
            .collect();
        let conversation = Value::Array(messages).to_string();
        let is_loaded = |tool: &&&Value| {
            tool["defer_loading"] != true || conversation.contains(&format!("\"tool_name\":{}", tool["name"]))
        };
        let tools = all.iter().filter(is_loaded).filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            let schemas = ["input_schema", "parameters", "parametersJsonSchema"];
            let schema = schemas.iter().find_map(|key| function.get(*key));
            let properties = schema.and_then(|schema| schema.get("properties")).cloned();
            Some((function["name"].as_str()?.to_owned(), properties.unwrap_or_default()))
        });
        let tools = tools.collect();
        Request { who, text, conversation, tools, namespaces, whole: body.to_string() }
    }

    pub(super) fn has_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    pub(super) fn into_asked(self, answer: &Answer) -> Asked {
        let tools = self.tools.into_iter().map(|(name, _)| name).collect();
        let answered = match answer {
            Answer::Say(text) => Answered::Said(text.clone()),
            Answer::Call { tool, arguments, .. } => {
                Answered::Called { tool: tool.clone(), arguments: arguments.clone() }
            }
        };
        Asked {
            who: self.who,
            text: self.text,
            conversation: self.conversation,
            tools,
            answered,
            whole: Whole(self.whole),
        }
    }

    /// Returns the answer according to the script.
    pub(super) fn decide(&self, rules: &[Rule]) -> Answer {
        let fits = |rule: &&Rule| {
            self.has_tools()
                && self.text.contains(&rule.contains)
                && rule.who.is_none_or(|who| self.who == Some(who))
        };
        match rules.iter().find(fits).map(|rule| &rule.action) {
            None => Answer::Say("ok".to_owned()),
            Some(Action::Say(text)) => Answer::Say(text.clone()),
            Some(Action::Shell(command)) => self.call_shell(command),
            Some(Action::Call { tool, arguments }) => self.call(tool, arguments),
        }
    }

    /// Calls a tool of an MCP server, with any prefix that the harness adds to its name.
    fn call(&self, tool: &str, arguments: &Value) -> Answer {
        let is_meant = |name: &&String| {
            name.strip_suffix(tool).is_some_and(|before| !before.ends_with(char::is_alphanumeric))
        };
        let Some(name) = self.tools.keys().find(is_meant) else {
            return self.search(tool);
        };
        Answer::Call {
            tool: name.clone(),
            namespace: self.namespaces.get(name).cloned().unwrap_or_default(),
            arguments: self.filled_in(arguments),
        }
    }

    /// Searches for a tool that is only named, as Claude Code does with tools of MCP servers.
    fn search(&self, tool: &str) -> Answer {
        let known: Vec<_> = self.tools.keys().collect();
        let end = format!("__{tool}");
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        // An escaped line break may stand before a name.
        let mut words =
            self.whole.split(|c| !is_name(c)).filter_map(|word| Some(&word[word.find("mcp__")?..]));
        let named = words.find(|word| word.ends_with(&end));
        match named.filter(|_| self.tools.contains_key(TOOL_SEARCH)) {
            None => Answer::Say(format!("no {tool} among {known:?}")),
            Some(name) => Answer::Call {
                tool: TOOL_SEARCH.to_owned(),
                namespace: Value::Null,
                arguments: json!({"query": format!("select:{name}"), "max_results": 1}),
            },
        }
    }

    /// Replaces the placeholder in the arguments with the job id in the newest message.
    fn filled_in(&self, arguments: &Value) -> Value {
        let behind = self.text.split_once("Job ").map_or("", |(_, behind)| behind);
        let id = behind.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        match arguments {
            Value::String(text) => text.replace(JOB_ID, id).into(),
            Value::Array(items) => items.iter().map(|item| self.filled_in(item)).collect(),
            Value::Object(items) => {
                items.iter().map(|(key, item)| (key.clone(), self.filled_in(item))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => arguments.clone(),
        }
    }

    fn call_shell(&self, command: &str) -> Answer {
        let Some((tool, properties)) = SHELLS.iter().find_map(|name| self.tools.get_key_value(*name)) else {
            let known: Vec<_> = self.tools.keys().collect();
            return Answer::Say(format!("no shell tool among {known:?}"));
        };
        let arguments = if properties.get("cmd").is_some() {
            json!({"cmd": command})
        } else if properties["command"]["type"] == "array" {
            json!({"command": ["bash", "-lc", command]})
        } else if properties.get("description").is_some() {
            json!({"command": command, "description": "scripted"})
        } else {
            json!({"command": command})
        };
        Answer::Call { tool: tool.clone(), namespace: Value::Null, arguments }
    }
}

/// Whether a message contains the definitions of tools that the model has searched for.
fn is_search_result(message: &Value) -> bool {
    let parts = message["content"].as_array().into_iter().flatten();
    let mut results = parts.filter(|part| part["type"] == "tool_result");
    let is_reference = |part: &Value| part["type"] == "tool_reference";
    results.any(|result| result["content"].as_array().is_some_and(|parts| parts.iter().any(is_reference)))
}

/// Returns sender and text of a message; `None` for messages of the model.
fn sender_and_text(message: &Value) -> Option<(Who, String)> {
    let kind = message["type"].as_str().unwrap_or_default();
    if matches!(kind, "function_call_output" | "custom_tool_call_output") {
        return Some((Who::Tool, text_of(&message["output"])));
    }
    if let Some(parts) = message["parts"].as_array().filter(|_| message["role"] == "user") {
        let is_result = |part: &&Value| part.get("functionResponse").is_some();
        let results: Vec<String> = parts
            .iter()
            .filter(is_result)
            .map(|part| part["functionResponse"]["response"].to_string())
            .collect();
        return Some(match results.is_empty() {
            true => (Who::User, text_of(&message["parts"])),
            false => (Who::Tool, results.join("\n")),
        });
    }
    let content = &message["content"];
    match message["role"].as_str() {
        Some("tool") => Some((Who::Tool, text_of(content))),
        Some("user") => {
            let is_result = |part: &&Value| part["type"] == "tool_result";
            let results: Vec<Value> =
                content.as_array().into_iter().flatten().filter(is_result).cloned().collect();
            match results.is_empty() {
                true => Some((Who::User, text_of(content))),
                false => Some((Who::Tool, text_of(&Value::Array(results)))),
            }
        }
        Some(_) | None => None,
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Object(part) => {
            let keys = ["text", "content", "output"];
            keys.iter().find_map(|key| part.get(*key)).map(text_of).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
