//! A user with a harness, a scripted model and a home of homing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::{Action, Rule, ScriptedModel, TempHome, Who, skip, wait_until};

/// The output of the job. The command does not contain it, so a conversation that contains it has the output.
pub(crate) const PRINTED: &str = "greetings-42";
const JOB: &str = "homing run 'echo greetings-$((40 + 2))'";

/// A job that finishes before the turn ends.
pub(crate) const FINISHES_DURING_THE_TURN: &str = "homing run 'echo greetings-$((40 + 2))'; \
    until homing list --state finished --json | grep -q finished; do sleep 0.05; done";

/// A job that finishes when the file `gate` exists in the home directory.
pub(crate) const FINISHES_AT_GATE: &str =
    "homing run 'until [ -e ~/gate ]; do sleep 0.05; done; echo greetings-$((40 + 2))'";

/// The environment of a test.
pub(crate) struct Stage {
    pub(crate) home: TempHome,
    pub(crate) model: ScriptedModel,
    path: OsString,
    variables: Vec<(&'static str, OsString)>,
}

impl Stage {
    /// Creates a stage for a harness with the preset `agent`; `None` if the program is not installed.
    pub(crate) fn new(agent: &str, program: &str, called: &str) -> Option<Stage> {
        let stage = Stage::launching(JOB, program, called)?;
        // The test itself runs the monitor.
        stage.write("config.toml", &format!("agents = [{agent:?}]\nmonitor.autostart = false\n"));
        Some(stage)
    }

    /// Creates a stage on which the model answers LAUNCH with this command. No monitor starts by itself.
    pub(crate) fn launching(command: &str, program: &str, called: &str) -> Option<Stage> {
        let rules = vec![
            Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
            Rule::new(Who::User, "LAUNCH", Action::Shell(command.to_owned())),
            Rule::new(Who::Tool, "", Action::Say("LAUNCHED".to_owned())),
        ];
        let stage = Stage::following(rules, program, called)?;
        stage.write("config.toml", "monitor.autostart = false\n");
        Some(stage)
    }

    /// Creates a stage on which the model follows these rules. homing has no configuration.
    pub(crate) fn following(rules: Vec<Rule>, program: &str, called: &str) -> Option<Stage> {
        let Some(programs) = find(program) else {
            let where_to =
                "put it into PATH, or name a directory with its node_modules in HOMING_TEST_HARNESSES";
            skip(&format!("{called} is not installed ({where_to})"));
            return None;
        };
        let model = ScriptedModel::start(rules).expect("a free port");
        let home = TempHome::new();
        let bin = home.scratch().join("bin");
        for folder in [&bin, &home.scratch().join("project"), &home.scratch().join("tmp")] {
            fs::create_dir(folder).expect("the folder is made");
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_homing"), bin.join("homing")).expect("a link");
        let outer = std::env::var_os("PATH").unwrap_or_default();
        let folders = [bin, programs].into_iter().chain(std::env::split_paths(&outer));
        let path = std::env::join_paths(folders).expect("no folder has a colon");
        let stage = Stage { home, model, path, variables: Vec::new() };
        // Some harnesses use a login shell, which resets PATH.
        stage.write(".profile", &format!("PATH='{}'\n", stage.path.to_string_lossy()));
        Some(stage)
    }

    /// Runs homing setup for a harness.
    pub(crate) fn set_up(&self, harness: &str) {
        let output = self.homing(&["setup", harness, "--write"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Whether a hook waits beside a session.
    pub(crate) fn has_waiter(&self) -> bool {
        let home = fs::read_dir(self.home.path()).into_iter().flatten().flatten();
        home.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("waiting-"))
    }

    /// Sets an environment variable for all commands of this stage.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    /// The value of a variable that [`Stage::set`] has set.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Writes a file in the home directory of the user.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.home.scratch().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(path, content).expect("the file is written");
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.home.scratch().join("project").canonicalize().expect("it is there")
    }

    /// A program with only the environment of the user.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        command
            .arg(program)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.scratch())
            .env("TMPDIR", self.home.scratch().join("tmp"))
            // Claude Code ignores TMPDIR.
            .env("CLAUDE_CODE_TMPDIR", self.home.scratch().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("HOMING_HOME", self.home.path())
            .env("HOMING_CONFIG", self.home.scratch().join("config.toml"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.project())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn homing(&self, arguments: &[&str]) -> Output {
        self.command("homing").args(arguments).output().expect("homing runs")
    }

    /// Parses the standard output of a program as one document.
    #[track_caller]
    pub(crate) fn document(output: &Output) -> Value {
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no document: {error}: {output:?}"))
    }

    /// The only job, when it has finished.
    pub(crate) fn finished_job(&self) -> Value {
        wait_until("the job finishes", || self.job()["state"] == "finished");
        self.job()
    }

    /// The only job.
    pub(crate) fn job(&self) -> Value {
        let jobs = Stage::document(&self.homing(&["list", "--json"]));
        let [job] = jobs.as_array().expect("a list").as_slice() else { return Value::Null };
        job.clone()
    }

    /// Runs the monitor once: delivers all pending results.
    #[track_caller]
    pub(crate) fn wake(&self) {
        let output = self.homing(&["monitor", "--once"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until the agent has received the result and homing has acknowledged it.
    pub(crate) fn wait_until_delivered(&self) {
        wait_until("the agent receives the result", || {
            self.model.asked().iter().any(|asked| asked.text.contains(PRINTED))
        });
        wait_until("the result is acknowledged", || self.job()["follow_up"]["state"] == "acknowledged");
    }

    /// Checks that the session received the result once, in the conversation that starts with `first`.
    #[track_caller]
    pub(crate) fn assert_woken(&self, envelope: bool, first: &str) {
        let job = self.job();
        assert_eq!(job["follow_up"]["state"], "acknowledged", "{job:#}");
        let asked = self.model.asked();
        let wakes: Vec<_> = asked
            .iter()
            .filter(|asked| asked.who == Some(Who::User) && asked.text.contains(PRINTED))
            .collect();
        let [wake] = wakes.as_slice() else { panic!("woken once: {asked:#?}") };
        assert!(wake.text.contains(job["id"].as_str().expect("an id")), "{wake:#?}");
        assert_eq!(wake.text.contains("<task-notification>"), envelope, "{wake:#?}");
        assert!(wake.conversation.contains(first), "in the same conversation: {wake:#?}");
    }
}

/// The folder that contains this program of a harness.
fn find(program: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HOMING_TEST_HARNESSES").filter(|folder| !folder.is_empty());
    let named = named.map(|folder| PathBuf::from(folder).join("node_modules/.bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().chain(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join(program).exists())
}
