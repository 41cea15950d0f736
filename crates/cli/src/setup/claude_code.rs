//! Claude Code. Looked at: 2.1.197.

use jsonc_parser::json;

#[cfg(feature = "mcp")]
use super::file::read_bounded;
use super::{ConfigPaths, FilePlan, JsonPart, Plan, Program, Scope};

/// What the hook is called by that waits beside an open session.
const WAITING: &str = "hook claude-code --wait";

/// Whether settings that count here have the hook that wakes an open session.
#[cfg(feature = "mcp")]
pub(crate) fn wakes_open_sessions(paths: &ConfigPaths) -> bool {
    let folder = paths.named("CLAUDE_CONFIG_DIR").unwrap_or_else(|| paths.home().join(".claude"));
    let project = paths.project().join(".claude");
    let settings =
        [folder.join("settings.json"), project.join("settings.json"), project.join("settings.local.json")];
    let names_it = |text: Vec<u8>| String::from_utf8_lossy(&text).contains(WAITING);
    settings.iter().any(|path| read_bounded(path).is_ok_and(names_it))
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
    // It waits beside the session for as long as jobs may run: a week.
    let wakes = || {
        json!({
            "type": "command",
            "command": (waiting.as_str()),
            "asyncRewake": true,
            "timeout": 604800,
            "rewakeMessage": "A background job of this session is over.",
            "rewakeSummary": "homing: a background job is over"
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
        notes: vec!["Sessions that are open now know of it when they are started again.".to_owned()],
    }
}
