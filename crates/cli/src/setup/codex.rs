//! Codex. Checked with 0.169.

use jsonc_parser::json;
use toml_edit::{Array, Value};

use super::{ConfigPaths, Content, FilePlan, JsonPart, Plan, Program, Scope, TomlPart};

/// Environment variables for the server. Codex passes on few by itself.
const PASSED_ON: [&str; 5] =
    ["HOMING_HOME", "HOMING_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "CODEX_HOME"];

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Plan {
    let folder = match scope {
        Scope::User => paths.named("CODEX_HOME").unwrap_or_else(|| paths.home().join(".codex")),
        Scope::Project => paths.project().join(".codex"),
    };
    let server = TomlPart::Table {
        parent: "mcp_servers",
        key: "homing",
        items: vec![
            ("command", Value::from(program.word())),
            ("args", Value::from(Array::from_iter(["mcp"]))),
            ("env_vars", Value::from(Array::from_iter(PASSED_ON))),
        ],
    };
    let command = program.shell("hook codex");
    let hook = |event| JsonPart::Hook {
        event,
        in_group: true,
        hook: json!({"type": "command", "command": (command.as_str()), "timeout": 30}),
    };
    let mut notes = vec!["Trust the hooks: type /hooks in Codex. It runs a hook only after that.".to_owned()];
    if scope == Scope::Project {
        notes.push("Trust the project in Codex. It reads the files of a project only after that.".to_owned());
    }
    Plan {
        files: vec![
            FilePlan { path: folder.join("config.toml"), content: Content::Toml(vec![server]) },
            FilePlan::json(folder.join("hooks.json"), vec![hook("Stop"), hook("UserPromptSubmit")]),
        ],
        notes,
    }
}
