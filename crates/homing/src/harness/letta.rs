//! Letta Code. From its documentation and source, 2026; not run.

use super::profile::{IdleNotification, PresetFile, Profile, SessionSource, ShellSession};

pub(super) static PROFILE: Profile = Profile {
    name: "letta",
    title: "Letta Code",
    session: SessionSource {
        variable: Some("LETTA_CONVERSATION_ID"),
        shell: ShellSession::Exported,
        mcp: None,
    },
    variables: &[],
    hooks: Err("homing does not support its hooks yet"),
    idle: IdleNotification::Always,
    setup: Err("homing does not support its hooks yet; the user adds the route"),
    preset: PresetFile::new(include_str!("letta.toml")),
};
