//! goose. From its documentation and source, 2026; not run. A hook can answer only the end of a turn. It loads hooks
//! from plugins; the plugin of homing is a folder.

use super::hook::{HookEvent, HookProtocol, Proof, Waiting, block_or_add};
use super::hook_input::InputKeys;
use super::profile::{IdleNotification, McpSession, PresetFile, Profile, SessionSource, ShellSession};
use super::setup::{Edit, InstructionFiles, Setup, SetupChange, YamlEntry};

const SERVER: YamlEntry = YamlEntry {
    mapping: "extensions",
    key: "homing",
    lines: &[
        "enabled: true",
        "type: stdio",
        "name: homing",
        "description: Background jobs that report their results",
        "cmd: \"{program}\"",
        "args: [\"mcp\"]",
        "timeout: 300",
    ],
};

const PLUGIN: &str = r#"{
  "description": "Written by homing setup goose",
  "name": "homing",
  "version": "1.0.0"
}
"#;

const HOOKS: &str = r#"{
  "hooks": {
    "Stop": [
      {
        "hooks": [
          {
            "command": "{shell_program} hook goose",
            "timeout": 30,
            "type": "command"
          }
        ]
      }
    ]
  }
}
"#;

pub(super) static PROFILE: Profile = Profile {
    name: "goose",
    title: "goose",
    session: SessionSource {
        variable: Some("AGENT_SESSION_ID"),
        shell: ShellSession::Exported,
        // crates/goose/src/session_context.rs: SESSION_ID_HEADER.
        mcp: Some(McpSession { key: "agent-session-id", client: None }),
    },
    variables: &["AGENT", "GOOSE_TERMINAL"],
    hooks: Ok(HookProtocol {
        input: InputKeys { event: &["hook_event_name", "event"], ..InputKeys::COMMON },
        events: &[("Stop", HookEvent::Stop)],
        waiting: Waiting::Never,
        proof: Proof::NextStop,
        render: |event, event_kind, message| block_or_add(event, event_kind, message, "block"),
    }),
    idle: IdleNotification::Always,
    setup: Ok(Setup {
        programs: &["goose"],
        directory: "${XDG_CONFIG_HOME:-~/.config}/goose",
        changes: &[
            SetupChange {
                user: &["${XDG_CONFIG_HOME:-~/.config}/goose/config.yaml"],
                project: &[],
                edit: Edit::Yaml(SERVER),
            },
            SetupChange {
                user: &["~/.agents/plugins/homing/plugin.json"],
                project: &[],
                edit: Edit::Whole { text: PLUGIN, mark: "Written by homing setup" },
            },
            SetupChange {
                user: &["~/.agents/plugins/homing/hooks/hooks.json"],
                project: &[],
                edit: Edit::Whole { text: HOOKS, mark: " hook goose" },
            },
        ],
        plugin: None,
        permission: Err(
            "goose calls tools without a question by default. If you chose another mode, allow the tools of homing \
             with goose configure (goose settings, tool permission).",
        ),
        instructions: InstructionFiles {
            user: Some("${XDG_CONFIG_HOME:-~/.config}/goose/.goosehints"),
            project: ".goosehints",
        },
        notes: &[],
        project_notes: &[],
    }),
    preset: PresetFile::new(include_str!("goose.toml")),
};
