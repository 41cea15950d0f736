//! A home for one test. When it goes, it proves that no process of the test lives on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Process, processes_where};

/// How long processes that are being ended have to go.
const GOING: Duration = Duration::from_secs(30);

/// What the environment of the tests may say, and the tests must not hear: they may run in a job, in an agent, or as a
/// service.
const OUTER_VARIABLES: [&str; 12] = [
    "HOMING_JOB",
    "HOMING_SESSION",
    "HOMING_HARNESS",
    "HOMING_WAKE",
    "HOMING_MCP_TOKEN",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_THREAD_ID",
    "AGENT_SESSION_ID",
    "LETTA_CONVERSATION_ID",
    "GEMINI_SESSION_ID",
];

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A fresh home in a temporary directory, which does not exist yet: homing makes it.
///
/// When it is dropped, it waits until no process belongs to it any more: none that names its path in an argument or in
/// `HOMING_HOME`, and none that carries its [mark](TempHome::mark). If one stays, it is ended, and the test fails.
#[derive(Debug)]
pub struct TempHome {
    folder: TempDir,
    mark: String,
}

impl TempHome {
    /// Makes one.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    #[expect(clippy::new_without_default, reason = "it does things")]
    pub fn new() -> TempHome {
        TempHome::under(&std::env::temp_dir())
    }

    /// Makes one below `parent`, such as a small file system of its own.
    ///
    /// # Panics
    /// When nothing can be made there.
    pub fn under(parent: &Path) -> TempHome {
        let folder =
            tempfile::Builder::new().prefix("homing-test-").tempdir_in(parent).expect("a temporary folder");
        // Seconds that no test waits for, with a fraction that no other test has.
        let mark = format!("86400.{}{:04}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        TempHome { folder, mark }
    }

    /// Where the home is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder beside the home, for files of the test.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// A number of seconds that is this test's own: `sleep MARK` is found wherever it hides.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// A program that knows this home, and nothing of what the tests run in.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in OUTER_VARIABLES {
            command.env_remove(name);
        }
        command.env("HOMING_HOME", self.path());
        command
    }

    /// The processes that belong to this test and live now, supervisors included.
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

    /// Those of them that carry the mark.
    pub fn marked(&self) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.command_line.contains(&self.mark)).collect()
    }
}

impl Drop for TempHome {
    fn drop(&mut self) {
        let give_up_at = Instant::now() + if std::thread::panicking() { Duration::ZERO } else { GOING };
        let mut survivors = self.processes();
        while !survivors.is_empty() && Instant::now() < give_up_at {
            std::thread::sleep(Duration::from_millis(5));
            survivors = self.processes();
        }
        for process in &survivors {
            if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        assert!(
            survivors.is_empty() || std::thread::panicking(),
            "these processes survived the test: {survivors:#?}"
        );
    }
}
