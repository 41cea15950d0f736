//! Codex. Checked with 0.169. Its hooks follow Claude Code. Codex reads the output of an asynchronous hook only with
//! the next message of the user, so no hook waits. It locks an open thread, so the monitor cannot resume it. The monitor
//! puts a message into the queue of the thread instead, see [`message`].

mod database;
mod holder;
mod message;
mod rollout;

pub(crate) use holder::{ArgumentsOf, Holder, arguments_of};
pub(crate) use message::{MessageState, QueuedMessage};

use super::hook::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, McpSession, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, InstructionFiles, JsonEdit, Permission, Setup, SetupChange, TomlItem, TomlTable};

/// The MCP server. Codex passes on few variables by itself.
const SERVER: TomlTable = TomlTable {
    parent: "mcp_servers",
    key: "homing",
    items: &[
        ("command", TomlItem::Text("{program}")),
        ("args", TomlItem::List(&["mcp"])),
        (
            "env_vars",
            TomlItem::List(&[
                "HOMING_HOME",
                "HOMING_CONFIG",
                "XDG_CONFIG_HOME",
                "XDG_STATE_HOME",
                "CODEX_HOME",
            ]),
        ),
        // A tool of homing waits for an hour at most. Without this, Codex abandons a call after 300 s (seen with 0.169 and
        // 0.171).
        ("tool_timeout_sec", TomlItem::Number(3660)),
    ],
};

const fn hook(event: &'static str) -> JsonEdit {
    let hook = r#"{"type": "command", "command": "{cmd_program} hook codex", "timeout": 30}"#;
    JsonEdit::Hook { event, in_group: true, matcher: None, hook }
}

pub(super) static PROFILE: Profile = Profile {
    name: "codex",
    title: "Codex",
    session: SessionSource {
        variable: Some("CODEX_THREAD_ID"),
        shell: ShellSession::Exported,
        // codex-rs/core/src/mcp_tool_call.rs: MCP_TOOL_THREAD_ID_META_KEY. Its desktop serves all threads by one
        // server.
        mcp: Some(McpSession { key: "threadId", client: Some("codex") }),
    },
    variables: &["CODEX_CI", "CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"],
    hooks: Ok(HookProtocol {
        input: InputKeys::COMMON,
        events: &[("UserPromptSubmit", HookEvent::Prompt), ("Stop", HookEvent::Stop)],
        waiting: Waiting::Never,
        proof: Proof::Transcript { queue_entry: None },
        render: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
    }),
    idle: IdleNotification::Always,
    setup: Ok(Setup {
        programs: &["codex"],
        directory: "${CODEX_HOME:-~/.codex}",
        changes: &[
            SetupChange {
                user: &["${CODEX_HOME:-~/.codex}/config.toml"],
                project: &[".codex/config.toml"],
                edit: Edit::Toml(&[SERVER]),
            },
            SetupChange {
                user: &["${CODEX_HOME:-~/.codex}/hooks.json"],
                project: &[".codex/hooks.json"],
                edit: Edit::Json(&[hook("Stop"), hook("UserPromptSubmit")]),
            },
        ],
        plugin: None,
        permission: Ok(Permission {
            user: &["${CODEX_HOME:-~/.codex}/config.toml"],
            project: &[".codex/config.toml"],
            place: "the table [mcp_servers.homing]",
            rule: r#"default_tools_approval_mode = "approve""#,
            without: "Codex asks you before a tool of homing is called. codex exec, and a turn that homing resumes, \
                      cannot ask, so the call fails.",
        }),
        instructions: InstructionFiles {
            user: Some("${CODEX_HOME:-~/.codex}/AGENTS.md"),
            project: "AGENTS.md",
        },
        notes: &["Trust the hooks: type /hooks in Codex. It runs a hook only after that."],
        project_notes: &["Trust the project in Codex. It reads the files of a project only after that."],
    }),
    preset: PresetFile::new(include_str!("codex.toml")),
};
