//! opencode. Checked with 1.18. It does not run programs as hooks, and does not export the session to its shell. The
//! plugin of homing, which is one file, exports it, calls `homing hook`, writes the message into the session, and
//! confirms the delivery.

use serde_json::json;

use super::hook::{HookEvent, HookProtocol, Proof, SESSION_ARGUMENT, Waiting};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, McpSession, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, InstructionFiles, JsonEdit, Permission, Setup, SetupChange};

pub(super) static PROFILE: Profile = Profile {
    name: "opencode",
    title: "opencode",
    session: SessionSource {
        variable: None,
        shell: ShellSession::Plugin,
        mcp: Some(McpSession { key: SESSION_ARGUMENT, client: Some("opencode") }),
    },
    variables: &["AGENT", "OPENCODE", "OPENCODE_PID"],
    hooks: Ok(HookProtocol {
        input: InputKeys { wake: Some("wake"), ..InputKeys::COMMON },
        events: &[("session.idle", HookEvent::Stop), ("homing.shown", HookEvent::Seen)],
        waiting: Waiting::WhileConnected,
        proof: Proof::Plugin,
        render: |_, _, message| json!({"wake": message.wake, "text": message.text}),
    }),
    idle: IdleNotification::Always,
    setup: Ok(Setup {
        programs: &["opencode"],
        directory: "${XDG_CONFIG_HOME:-~/.config}/opencode",
        changes: &[
            SetupChange {
                user: &[
                    "${XDG_CONFIG_HOME:-~/.config}/opencode/opencode.jsonc",
                    "${XDG_CONFIG_HOME:-~/.config}/opencode/opencode.json",
                ],
                project: &["opencode.jsonc", "opencode.json"],
                edit: Edit::Json(&[JsonEdit::Entry {
                    object: "mcp",
                    key: "homing",
                    value: r#"{"type": "local", "command": ["{program}", "mcp"], "enabled": true}"#,
                }]),
            },
            SetupChange {
                user: &["${XDG_CONFIG_HOME:-~/.config}/opencode/plugins/homing.js"],
                project: &[".opencode/plugins/homing.js"],
                edit: Edit::Whole {
                    text: include_str!("opencode_plugin.js"),
                    mark: "Written by homing setup",
                },
            },
        ],
        plugin: None,
        permission: Ok(Permission {
            user: &[
                "${XDG_CONFIG_HOME:-~/.config}/opencode/opencode.jsonc",
                "${XDG_CONFIG_HOME:-~/.config}/opencode/opencode.json",
            ],
            project: &["opencode.jsonc", "opencode.json"],
            place: "",
            rule: r#"{"permission": {"homing_*": "allow"}}"#,
            without: "opencode asks only if your configuration says \"ask\" for all tools.",
        }),
        instructions: InstructionFiles {
            user: Some("${XDG_CONFIG_HOME:-~/.config}/opencode/AGENTS.md"),
            project: "AGENTS.md",
        },
        notes: &["Restart opencode if it is open."],
        project_notes: &[],
    }),
    preset: PresetFile::new(include_str!("opencode.toml")),
};
