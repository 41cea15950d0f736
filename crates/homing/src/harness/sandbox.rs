//! Sandboxes of harnesses in which a background job cannot outlive the command that launches it.

use std::path::Path;

use homing_supervisor::platform::process;

use super::profile::Profile;

/// The harnesses that give each command of the agent's shell a pid namespace of its own, and the name of its process 1.
/// When that process ends, the kernel kills all others (pid_namespaces(7)).
///
/// Codex: codex-rs/linux-sandbox, seen with 0.169.0.
static SANDBOXES: [(&Profile, &str); 1] = [(&super::codex::PROFILE, "codex-linux-sandbox")];

/// The first process of a pid namespace.
const INIT: u32 = 1;

/// The harness in whose sandbox this process runs, if every process there ends with the command that the agent runs now.
pub fn ending_sandbox() -> Option<&'static Profile> {
    let arguments = process::arguments(INIT);
    let name = Path::new(arguments.first()?).file_name()?;
    SANDBOXES.iter().find(|(_, init)| name == *init).map(|(profile, _)| *profile)
}
