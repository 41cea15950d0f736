//! Cursor. From its documentation, 2026; not run. Its shell does not know its conversation, and a hook cannot add to
//! a prompt of the user.

use serde_json::json;

use super::hook::{HookEvent, HookProtocol, Proof, Waiting};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, InstructionFiles, JsonEdit, Permission, Setup, SetupChange};

const fn hook(event: &'static str) -> JsonEdit {
    let hook = r#"{"command": "{shell_program} hook cursor", "timeout": 30}"#;
    JsonEdit::Hook { event, in_group: false, matcher: None, hook }
}

/// The names of all hooks (<https://cursor.com/docs/hooks.md>, November 2026). One unknown name voids the whole file.
#[cfg(test)]
const KNOWN_HOOKS: [&str; 20] = [
    "afterAgentResponse",
    "afterAgentThought",
    "afterFileEdit",
    "afterMCPExecution",
    "afterShellExecution",
    "afterTabFileEdit",
    "beforeMCPExecution",
    "beforeReadFile",
    "beforeShellExecution",
    "beforeSubmitPrompt",
    "beforeTabFileRead",
    "postToolUse",
    "postToolUseFailure",
    "preCompact",
    "preToolUse",
    "sessionEnd",
    "sessionStart",
    "stop",
    "subagentStart",
    "subagentStop",
];

pub(super) static PROFILE: Profile = Profile {
    name: "cursor",
    title: "Cursor",
    session: SessionSource { variable: None, shell: ShellSession::Hint, mcp: None },
    variables: &["CURSOR_AGENT", "CURSOR_TRACE_ID"],
    hooks: Ok(HookProtocol {
        input: InputKeys {
            session: &["session_id", "conversation_id"],
            stop_hook_active: "loop_count",
            status: Some("status"),
            ..InputKeys::COMMON
        },
        events: &[("sessionStart", HookEvent::Start), ("stop", HookEvent::Stop)],
        waiting: Waiting::Never,
        proof: Proof::Transcript { queue_entry: None },
        render: |_, event_kind, message| match event_kind {
            HookEvent::Stop => json!({"followup_message": message.text}),
            HookEvent::Start | HookEvent::Open | HookEvent::Prompt | HookEvent::Tool | HookEvent::Seen => {
                json!({
                    "additional_context": message.text,
                    "env": {"HOMING_SESSION": message.session, "HOMING_HARNESS": "cursor"},
                })
            }
        },
    }),
    idle: IdleNotification::Always,
    setup: Ok(Setup {
        programs: &["cursor-agent", "cursor"],
        directory: "~/.cursor",
        changes: &[
            SetupChange {
                user: &["~/.cursor/mcp.json"],
                project: &[".cursor/mcp.json"],
                edit: Edit::Json(&[JsonEdit::Entry {
                    object: "mcpServers",
                    key: "homing",
                    value: r#"{"command": "{program}", "args": ["mcp"]}"#,
                }]),
            },
            SetupChange {
                user: &["~/.cursor/hooks.json"],
                project: &[".cursor/hooks.json"],
                edit: Edit::Json(&[
                    JsonEdit::Default { key: "version", value: "1" },
                    hook("sessionStart"),
                    hook("stop"),
                ]),
            },
        ],
        plugin: None,
        permission: Ok(Permission {
            user: &["~/.cursor/cli-config.json"],
            project: &[".cursor/cli.json"],
            place: "",
            rule: r#"{"permissions": {"allow": ["Mcp(homing:*)"]}}"#,
            without: "The Cursor CLI asks you before a tool of homing is called. A turn that homing resumes cannot \
                      ask. The editor has its own list, in its settings.",
        }),
        instructions: InstructionFiles { user: None, project: "AGENTS.md" },
        notes: &[],
        project_notes: &[],
    }),
    preset: PresetFile::new(include_str!("cursor.toml")),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_writes_only_hooks_that_cursor_knows() {
        let changes = PROFILE.setup.as_ref().expect("a setup").changes;
        let edits = changes.iter().flat_map(|change| match change.edit {
            Edit::Json(edits) => edits,
            Edit::Toml(_) | Edit::Yaml(_) | Edit::Whole { .. } => &[],
        });
        let hooks: Vec<&str> = edits
            .filter_map(|edit| match edit {
                JsonEdit::Hook { event, .. } => Some(*event),
                JsonEdit::Default { .. } | JsonEdit::Entry { .. } => None,
            })
            .collect();
        assert_eq!(hooks, ["sessionStart", "stop"]);
        assert!(hooks.iter().all(|hook| KNOWN_HOOKS.contains(hook)), "{hooks:?}");
        let events = PROFILE.hooks.as_ref().expect("hooks").events;
        assert!(events.iter().all(|(event, _)| KNOWN_HOOKS.contains(event)), "{events:?}");
    }
}
