//! Gemini CLI. Checked with 0.61.

use jsonc_parser::json;

use super::{ConfigPaths, FilePlan, JsonPart, Plan, Program, Scope};

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Plan {
    let folder = match scope {
        Scope::User => paths.named("GEMINI_CLI_HOME").unwrap_or_else(|| paths.home().to_owned()),
        Scope::Project => paths.project().to_owned(),
    };
    let command = program.shell("hook gemini");
    // Timeouts are in milliseconds.
    let hook = |event| JsonPart::Hook {
        event,
        in_group: true,
        hook: json!({
            "type": "command", "name": "homing", "command": (command.as_str()), "timeout": 30000
        }),
    };
    let server = json!({"command": (program.word()), "args": ["mcp"]});
    Plan {
        files: vec![FilePlan::json(
            folder.join(".gemini/settings.json"),
            vec![
                JsonPart::Entry { object: "mcpServers", key: "homing", value: server },
                hook("SessionStart"),
                hook("BeforeAgent"),
                hook("AfterAgent"),
            ],
        )],
        notes: Vec::new(),
    }
}
