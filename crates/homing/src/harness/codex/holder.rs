//! Finds the process that has a thread open, and whether it starts turns for queued messages.
//!
//! The rollout does not tell that: it names the client that began the thread. A thread that a terminal began may be held
//! by `codex exec resume`, and the background server of Codex writes `vscode` for the threads of terminals too.

use std::ffi::OsString;
use std::path::Path;

use homing_supervisor::platform::{lock, process};

/// The process that has a thread open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// None that is visible. Codex itself refuses to open a thread twice.
    Nobody,
    /// A terminal, the background server of terminals, or the server of an editor or application. They start a turn for
    /// a queued message when the thread is idle.
    Interactive {
        /// Its process id.
        pid: u32,
    },
    /// A process that ends with its own turn, and aborts the turn of a queued message (openai/codex#41060), or a program
    /// that is not Codex.
    Other {
        /// Its process id.
        pid: u32,
    },
}

/// The arguments of a process.
pub(crate) type ArgumentsOf = fn(pid: u32) -> Vec<OsString>;

/// Commands of Codex that do not wait for messages.
const NOT_INTERACTIVE: [&str; 6] = ["exec", "e", "review", "mcp-server", "exec-server", "cloud"];

/// The process that has locked a thread. Does not touch the lock: Codex does not retry if it finds it taken.
pub(super) fn holder(lock: &Path, arguments_of: ArgumentsOf) -> Holder {
    // If locks are not listed, Codex decides.
    let Some(process) = lock::holder(lock).ok().flatten() else { return Holder::Nobody };
    let arguments = arguments_of(process.pid);
    // The arguments are those of this process, if it is still the same.
    match is_interactive(&arguments) {
        _ if !process.is_alive() => Holder::Nobody,
        true => Holder::Interactive { pid: process.pid },
        false => Holder::Other { pid: process.pid },
    }
}

/// Reads the arguments of a process from the system.
pub(crate) fn arguments_of(pid: u32) -> Vec<OsString> {
    process::arguments(pid)
}

/// Whether a process with these arguments is Codex and waits for messages. A prompt that consists of one of the words
/// above counts as the command: then the thread is not notified until it is closed.
fn is_interactive(arguments: &[OsString]) -> bool {
    let Some((program, words)) = arguments.split_first() else { return false };
    let is_codex = Path::new(program).file_name().is_some_and(|name| name == "codex");
    is_codex && !words.iter().any(|word| NOT_INTERACTIVE.iter().any(|command| word == command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codex_that_waits_for_messages_is_interactive() {
        let interactive = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            is_interactive(&arguments)
        };
        for line in [
            "codex",
            "/opt/bin/codex --no-daemon",
            "codex resume 01a22a1a-3b82-7833-8f14-aad3f6082b5f",
            "/home/u/.codex/packages/app-server-daemon/releases/0.169.0/bin/codex app-server --listen unix:// --managed-daemon",
            "/home/u/.vscode/extensions/openai.chatgpt/bin/linux-x86_64/codex app-server",
        ] {
            assert!(interactive(line), "{line}");
        }
        for line in [
            "codex exec --json",
            "codex -m gpt-5 e task",
            "codex exec --json resume 01a22a1a-3b82-7833-8f14-aad3f6082b5f",
            "codex mcp-server",
            "codex-acp",
            "sh -c codex",
            "",
        ] {
            assert!(!interactive(line), "{line}");
        }
        assert!(!is_interactive(&[]));
    }
}
