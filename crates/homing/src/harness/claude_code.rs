//! Claude Code. Checked with 2.1.197. A hook with `asyncRewake` runs beside the session. If it exits with 2, its
//! standard error wakes the agent. Without a terminal (`claude -p`), Claude Code waits for such a hook as for any
//! other.

use super::hook::{HookEvent, HookProtocol, Proof, Terminal, Waiting, block_or_add};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, EnabledPlugin, InstructionFiles, JsonEdit, Permission, Setup, SetupChange};

/// The variable that states how Claude Code was started.
const TERMINAL: Terminal = Terminal { variable: "CLAUDE_CODE_ENTRYPOINT", value: "cli" };

/// The MCP server. With `alwaysLoad` (2.1.121 and later), the model sees the tools from the first turn. Otherwise it has
/// to find them by a search.
const SERVER: &str =
    r#"{"type": "stdio", "command": "{program}", "args": ["mcp"], "env": {}, "alwaysLoad": true}"#;

const QUICK: &str = r#"{"type": "command", "command": "{shell_program} hook claude-code", "timeout": 30}"#;

/// The hook that waits beside an open session: for a week at most, as long as jobs may run.
const WAITING: &str = r#"{
    "type": "command",
    "command": "{shell_program} hook claude-code --wait",
    "asyncRewake": true,
    "timeout": 604800,
    "rewakeMessage": "A background job in this session has finished.",
    "rewakeSummary": "homing: a background job has finished"
}"#;

const fn hook(event: &'static str, hook: &'static str) -> JsonEdit {
    JsonEdit::Hook { event, in_group: true, matcher: None, hook }
}

pub(super) static PROFILE: Profile = Profile {
    name: "claude-code",
    title: "Claude Code",
    session: SessionSource {
        variable: Some("CLAUDE_CODE_SESSION_ID"),
        shell: ShellSession::Exported,
        mcp: None,
    },
    variables: &[
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_MESSAGING_SOCKET",
        "CLAUDE_CODE_MESSAGING_SOCKET_TOKEN",
        "CLAUDE_CODE_MESSAGING_TOKEN",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_ENV_FILE",
    ],
    hooks: Ok(HookProtocol {
        input: InputKeys::COMMON,
        events: &[
            ("SessionStart", HookEvent::Open),
            ("UserPromptSubmit", HookEvent::Prompt),
            ("Stop", HookEvent::Stop),
        ],
        waiting: Waiting::WhileOpenInTerminal { terminal: TERMINAL, exit_status: 2 },
        proof: Proof::Transcript { queue_entry: Some("queue-operation") },
        render: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
    }),
    idle: IdleNotification::WaitingHook {
        terminal: TERMINAL,
        command: "hook claude-code --wait",
        files: &[
            "${CLAUDE_CONFIG_DIR:-~/.claude}/settings.json",
            ".claude/settings.json",
            ".claude/settings.local.json",
            // Claude Code sets the variable for the server of a plugin.
            "${CLAUDE_PLUGIN_ROOT:-~/.claude}/hooks/hooks.json",
        ],
    },
    setup: Ok(Setup {
        programs: &["claude"],
        directory: "${CLAUDE_CONFIG_DIR:-~/.claude}",
        changes: &[
            SetupChange {
                user: &["${CLAUDE_CONFIG_DIR:-~}/.claude.json"],
                project: &[".mcp.json"],
                edit: Edit::Json(&[JsonEdit::Entry { object: "mcpServers", key: "homing", value: SERVER }]),
            },
            SetupChange {
                user: &["${CLAUDE_CONFIG_DIR:-~/.claude}/settings.json"],
                project: &[".claude/settings.json"],
                edit: Edit::Json(&[
                    hook("SessionStart", WAITING),
                    hook("Stop", QUICK),
                    hook("Stop", WAITING),
                    hook("UserPromptSubmit", QUICK),
                ]),
            },
        ],
        plugin: Some(EnabledPlugin {
            file: "${CLAUDE_CONFIG_DIR:-~/.claude}/settings.json",
            object: "enabledPlugins",
            key: "homing@homing",
            rule: r#"{"permissions": {"allow": ["mcp__plugin_homing_homing"]}}"#,
        }),
        permission: Ok(Permission {
            user: &["${CLAUDE_CONFIG_DIR:-~/.claude}/settings.json"],
            project: &[".claude/settings.local.json"],
            place: "",
            rule: r#"{"permissions": {"allow": ["mcp__homing"]}}"#,
            without: "Claude Code asks you before a tool of homing is called. A turn that homing resumes cannot \
                      ask, so the call is denied.",
        }),
        instructions: InstructionFiles {
            user: Some("${CLAUDE_CONFIG_DIR:-~/.claude}/CLAUDE.md"),
            project: "CLAUDE.md",
        },
        notes: &["Restart agent sessions that are already open."],
        project_notes: &[],
    }),
    preset: PresetFile::new(include_str!("claude_code.toml")),
};
