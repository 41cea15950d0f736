//! Claude Code. Checked with 2.1.197.

use jsonc_parser::json;

#[cfg(feature = "mcp")]
use super::file::read_bounded;
use super::{ConfigPaths, FilePlan, JsonPart, Plan, Program, Scope};

/// Arguments of the hook that waits beside an open session.
const WAITING: &str = "hook claude-code --wait";

/// Whether the settings in effect here contain the hook that wakes an open session.
#[cfg(feature = "mcp")]
pub(crate) fn wakes_open_sessions(paths: &ConfigPaths) -> bool {
    let folder = paths.named("CLAUDE_CONFIG_DIR").unwrap_or_else(|| paths.home().join(".claude"));
    let project = paths.project().join(".claude");
    let settings =
        [folder.join("settings.json"), project.join("settings.json"), project.join("settings.local.json")];
    let has_hook = |text: Vec<u8>| String::from_utf8_lossy(&text).contains(WAITING);
    settings.iter().any(|path| read_bounded(path).is_ok_and(has_hook))
}

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Plan {
    let named = paths.named("CLAUDE_CONFIG_DIR");
    let (servers, settings) = match scope {
        Scope::User => {
            let folder = named.clone().unwrap_or_else(|| paths.home().join(".claude"));
            let beside = named.unwrap_or_else(|| paths.home().to_owned());
            (beside.join(".claude.json"), folder.join("settings.json"))
        }
        Scope::Project => (paths.project().join(".mcp.json"), paths.project().join(".claude/settings.json")),
    };
    let command = program.shell("hook claude-code");
    let waiting = program.shell(WAITING);
    let quick = || json!({"type": "command", "command": (command.as_str()), "timeout": 30});
    let server = json!({"type": "stdio", "command": (program.word()), "args": ["mcp"], "env": {}});
    // The hook may wait beside the session for a week, as long as jobs may run.
    let wakes = || {
        json!({
            "type": "command",
            "command": (waiting.as_str()),
            "asyncRewake": true,
            "timeout": 604800,
            "rewakeMessage": "A background job in this session has finished.",
            "rewakeSummary": "homing: a background job has finished"
        })
    };
    let hook = |event, hook| JsonPart::Hook { event, in_group: true, hook };
    Plan {
        files: vec![
            FilePlan::json(
                servers,
                vec![JsonPart::Entry { object: "mcpServers", key: "homing", value: server }],
            ),
            FilePlan::json(
                settings,
                vec![
                    hook("SessionStart", wakes()),
                    hook("Stop", quick()),
                    hook("Stop", wakes()),
                    hook("UserPromptSubmit", quick()),
                ],
            ),
        ],
        notes: vec!["Restart agent sessions that are already open.".to_owned()],
    }
}
