//! Gemini CLI. Checked with 0.61. Its shell does not know its session.

use super::hook::{HookEvent, HookProtocol, Proof, SESSION_ARGUMENT, Waiting, block_or_add};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, McpSession, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, InstructionFiles, JsonEdit, Permission, Setup, SetupChange};

/// Timeouts are in milliseconds.
const HOOK: &str = r#"{"type": "command", "name": "homing", "command": "{powershell_program} hook gemini", "timeout": 30000}"#;

const fn hook(event: &'static str) -> JsonEdit {
    JsonEdit::Hook { event, in_group: true, matcher: None, hook: HOOK }
}

pub(super) static PROFILE: Profile = Profile {
    name: "gemini",
    title: "Gemini CLI",
    session: SessionSource {
        variable: Some("GEMINI_SESSION_ID"),
        shell: ShellSession::Hint,
        mcp: Some(McpSession { key: SESSION_ARGUMENT, client: Some("gemini") }),
    },
    variables: &["GEMINI_CLI"],
    hooks: Ok(HookProtocol {
        input: InputKeys::COMMON,
        events: &[
            ("SessionStart", HookEvent::Start),
            ("BeforeAgent", HookEvent::Prompt),
            ("AfterAgent", HookEvent::Stop),
            ("BeforeTool", HookEvent::Tool),
        ],
        waiting: Waiting::Never,
        proof: Proof::Transcript { queue_entry: None },
        render: |event, event_kind, message| block_or_add(event, event_kind, message, "deny"),
    }),
    idle: IdleNotification::Always,
    setup: Ok(Setup {
        programs: &["gemini"],
        directory: "${GEMINI_CLI_HOME:-~}/.gemini",
        changes: &[SetupChange {
            user: &["${GEMINI_CLI_HOME:-~}/.gemini/settings.json"],
            project: &[".gemini/settings.json"],
            edit: Edit::Json(&[
                JsonEdit::Entry {
                    object: "mcpServers",
                    key: "homing",
                    value: r#"{"command": "{program}", "args": ["mcp"]}"#,
                },
                hook("SessionStart"),
                hook("BeforeAgent"),
                hook("AfterAgent"),
                JsonEdit::Hook {
                    event: "BeforeTool",
                    in_group: true,
                    matcher: Some("mcp_homing_.*"),
                    hook: HOOK,
                },
            ]),
        }],
        plugin: None,
        permission: Ok(Permission {
            user: &["${GEMINI_CLI_HOME:-~}/.gemini/settings.json"],
            project: &[".gemini/settings.json"],
            place: "the entry \"homing\" of \"mcpServers\"",
            rule: r#""trust": true"#,
            without: "Gemini CLI asks you before a tool of homing is called. gemini -p, and a turn that homing resumes, \
                      cannot ask, so the call is denied.",
        }),
        instructions: InstructionFiles {
            user: Some("${GEMINI_CLI_HOME:-~}/.gemini/GEMINI.md"),
            project: "GEMINI.md",
        },
        notes: &[
            "Gemini CLI notifies an idle session with your next message. To be notified at once, see homing listen in \
             https://github.com/homing-jobs/homing/blob/main/docs/harnesses/gemini.md.",
        ],
        project_notes: &[],
    }),
    preset: PresetFile::new(include_str!("gemini.toml")),
};
