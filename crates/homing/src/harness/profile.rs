//! The profile of one agent harness.

use std::sync::OnceLock;

use super::hook::{HookProtocol, Terminal};
use super::preset::Preset;
use super::setup::Setup;

/// The description of one agent harness. `harness/NAME.rs` and `harness/NAME.toml` contain it.
#[derive(Debug)]
pub struct Profile {
    /// The name of the harness and of its preset.
    pub name: &'static str,
    /// Its name for people, as its makers write it.
    pub title: &'static str,
    /// How homing learns to which session a job belongs.
    pub session: SessionSource,
    /// Other variables that the harness sets for its commands. An agent that inherits them treats itself as a part of
    /// the other session: it refuses to start, or talks to the wrong session.
    // In code, as the variable of the session: each launch needs them, and must not parse TOML for them.
    pub(crate) variables: &'static [&'static str],
    /// Its hooks, or the reason why homing has no hooks for it.
    pub hooks: Result<HookProtocol, &'static str>,
    /// How an idle agent of an open session is notified.
    pub idle: IdleNotification,
    /// The changes that `homing setup` makes, or the reason why it makes none.
    pub setup: Result<Setup, &'static str>,
    /// How its sessions are resumed.
    pub(crate) preset: PresetFile,
}

/// How homing learns to which session of a harness a job belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSource {
    /// The variable in which the harness names the session to its programs.
    pub variable: Option<&'static str>,
    /// How commands of the agent's shell learn it.
    pub shell: ShellSession,
    /// How requests over MCP name it.
    pub mcp: Option<McpSession>,
}

/// How commands of the agent's shell learn the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShellSession {
    /// The harness exports its variable.
    Exported,
    /// The plugin of homing exports `HOMING_SESSION`.
    Plugin,
    /// A hook tells the agent at the start of the session to set `HOMING_SESSION`.
    Hint,
    /// They do not learn it, for this reason. The launcher names the session.
    Unknown(&'static str),
}

/// How requests over MCP name the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McpSession {
    /// The key in the metadata of a request. [`SESSION_ARGUMENT`](super::SESSION_ARGUMENT) is an argument of the call.
    pub key: &'static str,
    /// A part of the name of the only client from which the key is accepted, if other clients use the key for
    /// something else.
    pub client: Option<&'static str>,
}

/// How an idle agent of an open session is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleNotification {
    /// By a plugin that waits, or by the monitor, which resumes the session although it is open or puts a message into
    /// the queue of the harness.
    Always,
    /// Not at all. The monitor notifies the session after it is closed.
    Never,
    /// In a terminal, by a hook that waits beside the session, if it is configured.
    WaitingHook {
        /// How to recognize a session in a terminal.
        terminal: Terminal,
        /// The end of the command line of the hook.
        command: &'static str,
        /// The files that may configure it: patterns as in [`SetupChange`](super::SetupChange).
        files: &'static [&'static str],
    },
}

/// The TOML part of a profile, parsed on first use: most commands do not need it.
#[derive(Debug)]
pub(crate) struct PresetFile {
    text: &'static str,
    parsed: OnceLock<Preset>,
}

impl PresetFile {
    pub(crate) const fn new(text: &'static str) -> PresetFile {
        PresetFile { text, parsed: OnceLock::new() }
    }
}

impl Profile {
    /// How its sessions are resumed.
    pub(crate) fn preset(&self) -> &Preset {
        let PresetFile { text, parsed } = &self.preset;
        parsed.get_or_init(|| toml::from_str(text).expect("a test reads every preset"))
    }
}
