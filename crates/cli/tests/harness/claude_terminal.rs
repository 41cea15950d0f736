//! Claude Code, open in a terminal, with simulated typing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use testkit::wait_until;

use crate::claude_code::MODEL;
use crate::stage::Stage;

/// Claude Code, open in a terminal.
pub(crate) struct Open {
    child: Child,
    keyboard: File,
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
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).expect("the test owns the terminal");
        unlockpt(&terminal).expect("the test owns the terminal");
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("a terminal has a size");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().expect("text");
        let side = || -> Stdio {
            let side = File::options().read(true).write(true).open(&name).expect("the other side");
            OwnedFd::from(side).into()
        };
        let mut command = stage.command("claude");
        command.args(MODEL).args(arguments);
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("it runs");
        drop(command);
        let keyboard = File::from(terminal);
        let mut screen = keyboard.try_clone().expect("a copy");
        // Drain the screen, or the program would block. Ends when the last process closes its side.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while screen.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        let folder = stage.variable("CLAUDE_CONFIG_DIR").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| stage.home.scratch().join(".claude"));
        Open { child, keyboard, folder }
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
        let file = fs::read_dir(self.folder.join("sessions")).ok()?.next()?.ok()?;
        let session: Value = serde_json::from_str(&fs::read_to_string(file.path()).ok()?).ok()?;
        Some((session["sessionId"].as_str()?.to_owned(), session["pid"].as_u64()?))
    }

    /// Types until the text has arrived: keys are lost until the program reads them.
    pub(crate) fn type_in(&self, text: &str, arrived: impl Fn() -> bool) {
        let (line, enter) = text.split_at(text.len() - 1);
        let mut typed_at = None::<Instant>;
        wait_until("what was typed has arrived", || {
            if typed_at.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) && !arrived() {
                // Ctrl-U clears the line of an earlier attempt.
                for keys in ["\x15", line, enter] {
                    (&self.keyboard).write_all(keys.as_bytes()).expect("it takes keys");
                    std::thread::sleep(Duration::from_millis(200));
                }
                typed_at = Some(Instant::now());
            }
            arrived()
        });
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
        let _ = self.child.wait();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
