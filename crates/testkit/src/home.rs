//! A home for one test. On drop, it checks that no process of the test survives.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Process, kill, processes_where};

/// How long processes of a test may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Variables that tests must not inherit from their environment, which may be a job, an agent, or a service.
const OUTER_VARIABLES: [&str; 26] = [
    "HOMING_JOB",
    "HOMING_SESSION",
    "HOMING_HARNESS",
    "HOMING_WAKE",
    "HOMING_MCP_TOKEN",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_THREAD_ID",
    "COPILOT_AGENT_SESSION_ID",
    "AGENT_SESSION_ID",
    "LETTA_CONVERSATION_ID",
    "GEMINI_SESSION_ID",
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SSE_PORT",
    "CODEX_CI",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CURSOR_AGENT",
    "CURSOR_TRACE_ID",
    "GEMINI_CLI",
    "OPENCODE",
    "OPENCODE_PID",
    "AGENT",
    "GOOSE_TERMINAL",
];

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The path of a new home in a temporary directory. homing creates the home itself.
///
/// On drop, it waits until no process belongs to it: none with its path in an argument or in `HOMING_HOME`, and none
/// with its [mark](TempHome::mark). It kills processes that remain, and the test fails.
#[derive(Debug)]
pub struct TempHome {
    folder: TempDir,
    mark: String,
}

impl TempHome {
    /// Creates one.
    ///
    /// # Panics
    /// If a temporary directory cannot be created.
    #[expect(clippy::new_without_default, reason = "it creates a directory")]
    pub fn new() -> TempHome {
        TempHome::under(&std::env::temp_dir())
    }

    /// Creates one below `parent`, for example on a small file system.
    ///
    /// # Panics
    /// If the directory cannot be created.
    pub fn under(parent: &Path) -> TempHome {
        let folder =
            tempfile::Builder::new().prefix("homing-test-").tempdir_in(parent).expect("a temporary folder");
        // More seconds than any test waits, with a fraction that is unique to this test.
        let mark = format!("86400.{}{:04}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        TempHome { folder, mark }
    }

    /// Returns the path of the home.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns the directory that contains the home, for files of the test.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a number of seconds that is unique to this test, so that a `sleep MARK` process can be found.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Creates a command with this home and without the outer variables of the test environment.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in OUTER_VARIABLES {
            command.env_remove(name);
        }
        command.env("HOMING_HOME", self.path());
        command
    }

    /// Returns the running processes of this test, including supervisors.
    pub fn processes(&self) -> Vec<Process> {
        let path = self.folder.path().to_string_lossy().into_owned();
        let variable = format!("HOMING_HOME={}", self.path().display());
        processes_where(|process| {
            process.pid != std::process::id()
                && (process.command_line.contains(&path)
                    || process.command_line.contains(&self.mark)
                    || process.environment.contains(&variable))
        })
    }

    /// Returns the running processes with the mark.
    pub fn marked(&self) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.command_line.contains(&self.mark)).collect()
    }
}

impl Drop for TempHome {
    fn drop(&mut self) {
        let give_up_at = Instant::now() + if std::thread::panicking() { Duration::ZERO } else { END_TIMEOUT };
        let mut survivors = self.processes();
        while !survivors.is_empty() && Instant::now() < give_up_at {
            std::thread::sleep(Duration::from_millis(5));
            survivors = self.processes();
        }
        for process in &survivors {
            kill(process.pid);
        }
        assert!(
            survivors.is_empty() || std::thread::panicking(),
            "these processes survived the test: {survivors:#?}"
        );
    }
}
