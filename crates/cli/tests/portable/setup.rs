//! A separate home for each test, and helpers that run the program in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use testkit::{Process, TempHome, WAIT_TIMEOUT, tool, wait_until};

/// The absolute path of the program under test. Under Wine, cargo names it by a path without a drive, which other
/// directories change.
pub(crate) fn program() -> String {
    let path = std::path::absolute(env!("CARGO_BIN_EXE_homing")).expect("a path");
    path.to_str().expect("text").to_owned()
}

/// A home. Dropping it proves that no process of the test survived.
pub(crate) struct Setup {
    pub(crate) home: TempHome,
    tool: String,
}

/// Exit status and output of the program.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        let setup = Setup { home: TempHome::new(), tool: tool().to_str().expect("text").to_owned() };
        setup.configure("");
        setup
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.file("config.toml"), text).expect("a configuration");
    }

    /// A file beside the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.scratch().join(name)
    }

    /// The path of a file beside the home.
    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).to_str().expect("text").to_owned()
    }

    /// The lines of a file beside the home; none if it does not exist.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.file(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    pub(crate) fn create(&self, name: &str) {
        fs::write(self.file(name), "").expect("a file");
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(&program());
        command.args(arguments).env("HOMING_CONFIG", self.file("config.toml")).stdin(Stdio::null());
        command.current_dir(self.home.scratch());
        command
    }

    /// The helper program with these actions, and the environment of [`command`](Setup::command).
    pub(crate) fn tool_command(&self, actions: &[&str]) -> Command {
        let words = self.tool_words(actions);
        let mut command = self.home.command(words[0]);
        command.args(&words[1..]).env("HOMING_CONFIG", self.file("config.toml")).stdin(Stdio::null());
        command.current_dir(self.home.scratch());
        command
    }

    /// Runs the program.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        answer(&self.command(arguments).output().expect("the program runs"))
    }

    /// Runs the program, which must succeed, and returns the document that it prints.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }

    /// The words of a job that runs the helper program. `MARK` is replaced by a number of seconds that is unique to this
    /// test.
    pub(crate) fn tool_words<'a>(&'a self, actions: &[&'a str]) -> Vec<&'a str> {
        let marked = actions.iter().map(|word| if *word == "MARK" { self.home.mark() } else { word });
        std::iter::once(self.tool.as_str()).chain(marked).collect()
    }

    /// The arguments of `homing run` for a job that runs the helper program.
    pub(crate) fn run_words<'a>(&'a self, options: &[&'a str], actions: &[&'a str]) -> Vec<&'a str> {
        [&["run"], options, &["--"], &self.tool_words(actions)].concat()
    }

    /// Launches a job that runs the helper program, and returns its id.
    #[track_caller]
    pub(crate) fn launch(&self, options: &[&str], actions: &[&str]) -> String {
        let answer = self.run(&self.run_words(options, actions));
        assert_eq!(answer.status, Some(0), "{answer:?}");
        let id = answer.text().trim_end().to_owned();
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "an id alone: {answer:?}");
        id
    }

    /// Launches a job, and returns its document when it has finished.
    #[track_caller]
    pub(crate) fn finished(&self, options: &[&str], actions: &[&str]) -> Value {
        let id = self.launch(options, actions);
        self.end_of(&id)
    }

    /// Waits for the end of a job on behalf of another session, which acknowledges nothing, and returns its document.
    #[track_caller]
    pub(crate) fn end_of(&self, id: &str) -> Value {
        let timeout = format!("{}s", WAIT_TIMEOUT.as_secs());
        let waited = self.run(&["wait", id, "--session", "observer", "--timeout", &timeout]);
        let job = self.job(id);
        assert_eq!(job["state"], "finished", "{waited:?}");
        job
    }

    /// The document of a job.
    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        self.json(&["show", id])
    }

    /// The documents of all jobs, newest first.
    #[track_caller]
    pub(crate) fn jobs(&self) -> Vec<Value> {
        let Value::Array(jobs) = self.json(&["list", "--all-sessions", "--limit", "0"]) else {
            panic!("no list")
        };
        jobs
    }

    /// The exact output that is kept of a job.
    #[track_caller]
    pub(crate) fn output(&self, id: &str) -> Vec<u8> {
        let answer = self.run(&["output", id, "--raw"]);
        assert_eq!(answer.status, Some(0), "{answer:?}");
        answer.stdout
    }

    /// The output of a job as text.
    #[track_caller]
    pub(crate) fn text(&self, id: &str) -> String {
        String::from_utf8(self.output(id)).expect("text")
    }

    /// The state of the follow-up of a job.
    #[track_caller]
    pub(crate) fn follow_up(&self, id: &str) -> String {
        self.job(id)["follow_up"]["state"].as_str().expect("a state").to_owned()
    }

    /// Kills a job, which must end.
    #[track_caller]
    pub(crate) fn kill(&self, id: &str) -> Value {
        let answer = self.run(&["kill", id]);
        assert_eq!(answer.status, Some(0), "{answer:?}");
        self.job(id)
    }

    /// The supervisor of a running job.
    #[track_caller]
    pub(crate) fn supervisor(&self, id: &str) -> Process {
        let is_its = |process: &Process| {
            process.command_line.contains("__supervise") && process.command_line.contains(id)
        };
        let found: Vec<Process> = self.home.processes().into_iter().filter(is_its).collect();
        let [supervisor] = found.as_slice() else { panic!("one supervisor: {found:#?}") };
        supervisor.clone()
    }

    /// Kills the supervisor of a job, waits until the job is lost, recovers it, and returns its document.
    #[track_caller]
    pub(crate) fn lose(&self, id: &str) -> Value {
        testkit::kill(self.supervisor(id).pid);
        self.end_of(id);
        let recovered = self.run(&["recover"]);
        assert_eq!(recovered.status, Some(0), "{recovered:?}");
        self.job(id)
    }

    /// Waits until this many processes have the mark of the test.
    #[track_caller]
    pub(crate) fn wait_for_marked(&self, count: usize) {
        wait_until(&format!("{count} marked processes run"), || self.home.marked().len() == count);
    }

    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str) {
        wait_until(&format!("the file {name} exists"), || self.file(name).exists());
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }

    /// The one document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("no document: {error}: {self:?}"))
    }
}

pub(crate) fn answer(output: &Output) -> Answer {
    Answer {
        status: output.status.code(),
        stdout: output.stdout.clone(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Whether the tests run under Wine, which does not do all that Windows does. `scripts/test-windows` says so.
pub(crate) fn is_wine() -> bool {
    std::env::var_os("HOMING_TEST_WINE").is_some()
}

/// Gives a program a console of its own, without a window, so that Ctrl-C there reaches no other program. A terminal of
/// other systems needs none: Ctrl-C reaches a process group.
#[cfg(windows)]
pub(crate) fn in_own_console(command: &mut Command) -> &mut Command {
    // CREATE_NO_WINDOW (process creation flags of CreateProcessW).
    std::os::windows::process::CommandExt::creation_flags(command, 0x0800_0000)
}

#[cfg(unix)]
pub(crate) fn in_own_console(command: &mut Command) -> &mut Command {
    command
}

/// A process of the test that is killed when it is dropped, as the system does when memory is short.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program without input and output.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().expect("the program starts"))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> ExitStatus {
        self.0.wait().expect("it is our child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The kind of the outcome of a finished job.
#[track_caller]
pub(crate) fn kind(job: &Value) -> &str {
    job["outcome"]["kind"].as_str().unwrap_or_else(|| panic!("not finished: {job:#}"))
}

/// The exit code of a job that exited.
#[track_caller]
pub(crate) fn code(job: &Value) -> i64 {
    job["outcome"]["exit_code"].as_i64().unwrap_or_else(|| panic!("it did not exit: {job:#}"))
}
