//! Claude Code, open in a terminal, with simulated typing.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::wait_until;

use crate::claude_code::MODEL;
use crate::stage::Stage;
use crate::terminal::Terminal;

/// Claude Code, open in a terminal.
pub(crate) struct Open {
    terminal: Terminal,
    /// Its configuration folder.
    folder: PathBuf,
}

impl Open {
    /// Opens it and asks its model to launch a job.
    pub(crate) fn launching(stage: &Stage) -> Open {
        let open = Open::with(stage, &["--allowedTools", "Bash"]);
        open.session();
        open.type_in("LAUNCH please\r", || {
            stage.model.asked().iter().any(|asked| asked.text.contains("LAUNCH"))
        });
        open
    }

    pub(crate) fn with(stage: &Stage, arguments: &[&str]) -> Open {
        let mut command = stage.command("claude");
        command.args(MODEL).args(arguments);
        let terminal = Terminal::start(command);
        let folder = stage.variable("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| stage.home.scratch().join(".claude"));
        Open { terminal, folder }
    }

    /// The open session and the process id, when Claude Code has written them.
    pub(crate) fn session(&self) -> (String, u64) {
        let mut session = None;
        // The file may be incomplete.
        wait_until("it has written its session file", || {
            session = self.read_session();
            session.is_some()
        });
        session.expect("that was waited for")
    }

    fn read_session(&self) -> Option<(String, u64)> {
        let files = fs::read_dir(self.folder.join("sessions")).ok()?.flatten().map(|file| file.path());
        // Since 2.1.331 a file with a key stands beside it.
        let file = files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))?;
        let session: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        Some((session["sessionId"].as_str()?.to_owned(), session["pid"].as_u64()?))
    }

    /// Types until the text has arrived.
    #[track_caller]
    pub(crate) fn type_in(&self, text: &str, arrived: impl Fn() -> bool) {
        self.terminal.type_in(text, arrived);
    }

    /// Waits until a transcript contains the text. Claude Code writes it with a delay, and unwritten text is lost
    /// with the process: a session without a transcript cannot be resumed.
    pub(crate) fn wait_until_written(&self, text: &str) {
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        wait_until("the turn is in the transcript", || {
            let mut transcripts =
                entries(self.folder.join("projects")).flat_map(|project| entries(project.path()));
            transcripts.any(|file| fs::read_to_string(file.path()).is_ok_and(|all| all.contains(text)))
        });
    }

    /// Kills it when the text is in its transcript.
    pub(crate) fn kill_once_written(&mut self, text: &str) {
        self.wait_until_written(text);
        self.kill();
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let (_, pid) = self.session();
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::KILL).expect("it lives");
        let _ = self.terminal.child.wait();
    }
}
