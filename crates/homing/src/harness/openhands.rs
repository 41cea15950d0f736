//! The agent server of OpenHands. From its source, 2026; not run.

use super::profile::{IdleNotification, PresetFile, Profile, SessionSource, ShellSession};

pub(super) static PROFILE: Profile = Profile {
    name: "openhands",
    title: "OpenHands",
    session: SessionSource {
        variable: None,
        shell: ShellSession::Unknown("the server does not tell commands their conversation"),
        mcp: None,
    },
    variables: &[],
    hooks: Err("it is a server, which queues messages for open conversations too"),
    idle: IdleNotification::Always,
    setup: Err("it is a server; the user configures its URL and its key as a sink"),
    preset: PresetFile::new(include_str!("openhands.toml")),
};
