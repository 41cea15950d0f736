//! GitHub Copilot CLI. Checked with 1.0.102. It exports the session id to its shell. The end of a background command of its
//! shell wakes the agent, so `homing listen` works there.

use super::profile::{IdleNotification, PresetFile, Profile, SessionSource, ShellSession};

pub(super) static PROFILE: Profile = Profile {
    name: "copilot",
    title: "GitHub Copilot",
    session: SessionSource {
        variable: Some("COPILOT_AGENT_SESSION_ID"),
        shell: ShellSession::Exported,
        mcp: None,
    },
    variables: &["COPILOT_CLI"],
    hooks: Err("homing has no hooks for Copilot CLI yet; the agent can run homing listen in the background"),
    idle: IdleNotification::Never,
    setup: Err("add the route agents = [\"copilot\"] to config.toml"),
    preset: PresetFile::new(include_str!("copilot.toml")),
};
