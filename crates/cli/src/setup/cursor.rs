//! Cursor. From its documentation, 2026; not run.

use jsonc_parser::json;

use super::{ConfigPaths, FilePlan, JsonPart, Plan, Program, Scope};

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Plan {
    let folder = match scope {
        Scope::User => paths.home().join(".cursor"),
        Scope::Project => paths.project().join(".cursor"),
    };
    let command = program.shell("hook cursor");
    let hook = |event| JsonPart::Hook {
        event,
        in_group: false,
        hook: json!({"command": (command.as_str()), "timeout": 30}),
    };
    let server = json!({"command": (program.word()), "args": ["mcp"]});
    let servers = vec![JsonPart::Entry { object: "mcpServers", key: "homing", value: server }];
    let version = JsonPart::Default { key: "version", value: json!(1) };
    Plan {
        files: vec![
            FilePlan::json(folder.join("mcp.json"), servers),
            FilePlan::json(folder.join("hooks.json"), vec![version, hook("sessionStart"), hook("stop")]),
        ],
        notes: Vec::new(),
    }
}
