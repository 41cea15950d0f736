//! One profile for each agent harness: its variables and session ids, how a session is resumed, its hooks, and the files
//! that `homing setup` changes. `harness/NAME.rs` and `harness/NAME.toml` describe the harness NAME; other code does not
//! depend on any harness.

// The harnesses. The table in `registry` lists them too.
mod claude_code;
mod codex;
mod copilot;
mod cursor;
mod gemini;
mod goose;
mod letta;
mod opencode;
mod openhands;

// Shared by all harnesses.
mod active_session;
mod hook;
mod hook_input;
pub(crate) mod json;
pub(crate) mod origin;
mod paths;
mod preset;
mod profile;
mod registry;
mod sandbox;
mod session_dir;
mod setup;
#[cfg(test)]
mod tests;

pub use hook::{HookEvent, HookMessage, HookProtocol, Proof, SESSION_ARGUMENT, Terminal, Waiting};
pub use hook_input::HookInput;
pub use origin::is_active;
pub use paths::Paths;
pub use profile::{IdleNotification, McpSession, Profile, SessionSource, ShellSession};
pub use registry::directory_variables;
pub use sandbox::ending_sandbox;
pub use setup::{
    Edit, EnabledPlugin, INSTRUCTIONS, InstructionFiles, JsonEdit, Permission, Setup, SetupChange, TomlItem,
    TomlTable, YamlEntry,
};

pub(crate) use active_session::reason_not_to_resume;
pub(crate) use codex::{ArgumentsOf, Holder, MessageState, QueuedMessage, arguments_of};
pub(crate) use origin::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE};
pub(crate) use preset::{Directory, PostTransport, QueueTransport, RunTransport, Transport};
pub(crate) use registry::{
    harness_settings, harness_variables, has_queued, not_its_session, open_in, preset_format, preset_names,
    unknown_preset,
};
pub(crate) use session_dir::SessionDir;
