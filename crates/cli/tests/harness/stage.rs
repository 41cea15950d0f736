//! A user with a harness, a model that follows a script, and a home of homing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::{Action, Rule, ScriptedModel, TempHome, Who, wait_until};

use crate::offline::skip;

/// What the job prints. The command does not contain it, so whoever has read it has read the output.
pub(crate) const PRINTED: &str = "greetings-42";
const JOB: &str = "homing run 'echo greetings-$((40 + 2))'";

/// A job that is over before the turn is.
pub(crate) const OVER_BEFORE_THE_TURN: &str = "homing run 'echo greetings-$((40 + 2))'; \
    until homing list --state finished --json | grep -q finished; do sleep 0.05; done";

/// A job that is over when there is a file of that name in the home directory.
pub(crate) const OVER_WHEN_TOLD: &str =
    "homing run 'until [ -e ~/gate ]; do sleep 0.05; done; echo greetings-$((40 + 2))'";

/// Everything that a round needs.
pub(crate) struct Stage {
    pub(crate) home: TempHome,
    pub(crate) model: ScriptedModel,
    path: OsString,
    variables: Vec<(&'static str, OsString)>,
}

impl Stage {
    /// Makes a stage for a harness, whose presets homing knows as `agent`; `None` where the program is not installed.
    pub(crate) fn new(agent: &str, program: &str, called: &str) -> Option<Stage> {
        let stage = Stage::launching(JOB, program, called)?;
        // The test says itself when somebody is to be woken.
        stage.write("config.toml", &format!("agents = [{agent:?}]\nmonitor.autostart = false\n"));
        Some(stage)
    }

    /// Makes a stage on which the model answers LAUNCH with that command, and homing wakes nobody.
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

    /// Makes a stage on which the model follows these rules, and homing is as nobody has configured it.
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
        // A login shell, which some harnesses use, sets PATH anew.
        stage.write(".profile", &format!("PATH='{}'\n", stage.path.to_string_lossy()));
        Some(stage)
    }

    /// Sets homing up in a harness.
    pub(crate) fn set_up(&self, harness: &str) {
        let output = self.homing(&["setup", harness, "--write"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Whether a hook waits beside a session.
    pub(crate) fn has_waiter(&self) -> bool {
        let home = fs::read_dir(self.home.path()).into_iter().flatten().flatten();
        home.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("waiting-"))
    }

    /// Sets a variable for everything that runs on this stage.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.push((name, value.into()));
    }

    /// The value of a variable that was set so.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// A file of the user's.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.home.scratch().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(path, content).expect("the file is written");
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.home.scratch().join("project").canonicalize().expect("it is there")
    }

    /// A program, with the environment of a user and nothing else.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        command
            .arg(program)
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home.scratch())
            .env("TMPDIR", self.home.scratch().join("tmp"))
            // It does not heed TMPDIR.
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

    /// What a program said as one document.
    #[track_caller]
    pub(crate) fn document(output: &Output) -> Value {
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no document: {error}: {output:?}"))
    }

    /// The one job there is, once it is over.
    pub(crate) fn finished_job(&self) -> Value {
        wait_until("the job is over", || self.job()["state"] == "finished");
        self.job()
    }

    /// The one job there is.
    pub(crate) fn job(&self) -> Value {
        let jobs = Stage::document(&self.homing(&["list", "--json"]));
        let [job] = jobs.as_array().expect("a list").as_slice() else { return Value::Null };
        job.clone()
    }

    /// Wakes whoever is to be woken now, and waits until that is done.
    #[track_caller]
    pub(crate) fn wake(&self) {
        let output = self.homing(&["monitor", "--once"]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits until the agent was asked what to do with the result, and has had it by what homing knows.
    pub(crate) fn wait_until_told(&self) {
        wait_until("the agent is told", || {
            self.model.asked().iter().any(|asked| asked.text.contains(PRINTED))
        });
        wait_until("that is known", || self.job()["follow_up"]["state"] == "acknowledged");
    }

    /// Checks that the session was woken with the result, once, in the conversation that began with `first`.
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

/// The folder with that program of a harness.
fn find(program: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HOMING_TEST_HARNESSES").filter(|folder| !folder.is_empty());
    let named = named.map(|folder| PathBuf::from(folder).join("node_modules/.bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().chain(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join(program).exists())
}
