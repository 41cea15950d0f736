//! Test setup: a home per test, and helpers that run the program in it.

use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::{TempHome, wait_until};

/// A home. Dropping it asserts that no process of the test survived.
pub(crate) struct Setup {
    pub(crate) home: TempHome,
}

/// Exit status and output of the program.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup { home: TempHome::new() }
    }

    /// The program with these arguments and this home, without variables of an outer session.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_homing"));
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.home.scratch())
            .env_remove("HOMING_CONFIG")
            .current_dir(self.home.scratch())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Answer {
        answer(self.command(arguments))
    }

    /// Runs the program on behalf of a session.
    pub(crate) fn run_as(&self, session: &str, arguments: &[&str]) -> Answer {
        let mut command = self.command(arguments);
        command.env("HOMING_SESSION", session);
        answer(command)
    }

    /// Launches a script and returns the id of its job. `MARK` is replaced by a number of seconds that is unique to
    /// this test.
    pub(crate) fn launch(&self, script: &str) -> String {
        self.launch_with(&[], script)
    }

    /// Launches a script with options.
    #[track_caller]
    pub(crate) fn launch_with(&self, options: &[&str], script: &str) -> String {
        let script = self.marked(script);
        let answer = self.run(&[&["run"], options, &[script.as_str()]].concat());
        assert_eq!(answer.status, Some(0), "{answer:?}");
        let id = answer.stdout.trim_end().to_owned();
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "an id alone: {answer:?}");
        id
    }

    /// Launches a script that exits by itself, and waits until it has finished without acknowledging it.
    pub(crate) fn finished(&self, script: &str) -> String {
        self.finished_with(&[], script)
    }

    pub(crate) fn finished_with(&self, options: &[&str], script: &str) -> String {
        let id = self.launch_with(options, script);
        self.wait_for_end(&id);
        id
    }

    pub(crate) fn wait_for_end(&self, id: &str) {
        wait_until("the job has finished", || self.job(id)["state"] == "finished");
    }

    pub(crate) fn marked(&self, script: &str) -> String {
        script.replace("MARK", self.home.mark())
    }

    /// The document of a job.
    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        self.run(&["show", id, "--json"]).json()
    }

    /// The state of the follow-up of a job.
    #[track_caller]
    pub(crate) fn follow_up(&self, id: &str) -> String {
        self.job(id)["follow_up"]["state"].as_str().expect("a state").to_owned()
    }

    /// Kills a job.
    #[track_caller]
    pub(crate) fn kill(&self, id: &str) {
        let answer = self.run(&["kill", id]);
        assert_eq!(answer.status, Some(0), "{answer:?}");
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        self.file("homing/config.toml", text);
    }

    /// A program that atomically stores the last wake and its environment variables in a file. Returns the paths of
    /// both.
    pub(crate) fn keeper(&self) -> (String, PathBuf) {
        let kept = self.home.scratch().join("kept");
        let script = format!(
            "cat > '{0}.new' && echo >> '{0}.new' && env | grep '^HOMING_' | sort >> '{0}.new' && mv '{0}.new' '{0}'\n",
            kept.display()
        );
        (self.file("keep.sh", &script).to_str().expect("text").to_owned(), kept)
    }

    /// Writes a file next to the home.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.scratch().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is created");
        std::fs::write(&path, content).expect("the file is written");
        path
    }
}

impl Answer {
    /// The one document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no document: {error}: {self:?}"))
    }
}

pub(crate) fn answer(mut command: Command) -> Answer {
    let output = command.output().expect("the program runs");
    Answer {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Sends a signal to one process.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("a running process");
}

fn read_until(pipe: &mut impl Read, text: &str) {
    let (mut output, mut byte) = (Vec::new(), [0]);
    while !output.ends_with(text.as_bytes()) {
        assert_eq!(
            pipe.read(&mut byte).expect("readable output"),
            1,
            "the output ended before {text:?}: {:?}",
            String::from_utf8_lossy(&output)
        );
        output.push(byte[0]);
    }
}

/// A running program.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn send(&self, signal: Signal) {
        send(self.0.id(), signal);
    }

    /// Reads standard output until it ends with `text`.
    pub(crate) fn read_until(&mut self, text: &str) {
        read_until(self.0.stdout.as_mut().expect("an open pipe"), text);
    }

    /// Reads standard error until it ends with `text`.
    pub(crate) fn read_error_until(&mut self, text: &str) {
        read_until(self.0.stderr.as_mut().expect("an open pipe"), text);
    }

    /// Closes the read end of standard output.
    pub(crate) fn close_stdout(&mut self) {
        drop(self.0.stdout.take());
    }

    /// Sends a signal once the program catches it.
    pub(crate) fn send_once_caught(&self, signal: Signal) {
        self.wait_until_caught(signal);
        self.send(signal);
    }

    /// Waits until the program catches this signal.
    pub(crate) fn wait_until_caught(&self, signal: Signal) {
        let status = format!("/proc/{}/status", self.0.id());
        wait_until("the signal is caught", || {
            let status = std::fs::read_to_string(&status).expect("the program runs");
            let caught =
                status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a set of signals");
            let caught = u64::from_str_radix(caught.trim(), 16).expect("hexadecimal digits");
            caught & (1 << (signal.as_raw() - 1)) != 0
        });
    }

    /// Waits until the program exits.
    pub(crate) fn end(mut self) -> Answer {
        let mut answer = Answer { status: None, stdout: String::new(), stderr: String::new() };
        if let Some(stdout) = &mut self.0.stdout {
            stdout.read_to_string(&mut answer.stdout).expect("text");
        }
        let mut stderr = self.0.stderr.take().expect("an open pipe");
        stderr.read_to_string(&mut answer.stderr).expect("text");
        answer.status = self.0.wait().expect("the program exits").code();
        answer
    }
}
