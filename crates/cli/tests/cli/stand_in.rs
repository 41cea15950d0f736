//! Simulated harnesses, for those that cannot run in tests. They read the configuration that `homing setup` writes,
//! call its hooks and handle the answers as the documentation of the harness specifies.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::setup::{Answer, Setup};

/// The documented behavior of a harness.
struct Documented {
    /// The name for `homing setup`.
    name: &'static str,
    /// The file with its hooks, relative to the home directory of the user.
    hooks: &'static str,
    /// Whether hooks are nested in groups.
    in_groups: bool,
    /// Its event names for the start of a session and the end of a turn.
    start: Option<&'static str>,
    stop: &'static str,
    /// The input of a hook.
    input: fn(event: &str, round: u64) -> Value,
    /// The parts of an answer that it passes to the agent at the start, and at the end of a turn.
    context: fn(&Value) -> Option<&str>,
    continuation: fn(&Value) -> Option<&str>,
    /// The MCP server in its configuration: a file and a JSON pointer.
    server: (&'static str, &'static str),
}

const GEMINI: Documented = Documented {
    name: "gemini",
    hooks: ".gemini/settings.json",
    in_groups: true,
    start: Some("SessionStart"),
    stop: "AfterAgent",
    input: |event, round| {
        json!({"session_id": "3b8b1c6e-0f0e-4b53-9f2c-8f3b1c6e0f0e", "transcript_path": "", "cwd": "/work",
            "hook_event_name": event, "timestamp": "2026-11-22T11:00:00Z", "source": "startup",
            "prompt": "go", "prompt_response": "done", "stop_hook_active": round > 0})
    },
    context: |answer| answer["hookSpecificOutput"]["additionalContext"].as_str(),
    continuation: |answer| answer["reason"].as_str().filter(|_| answer["decision"] == "deny"),
    server: (".gemini/settings.json", "/mcpServers/homing/args/0"),
};

const CURSOR: Documented = Documented {
    name: "cursor",
    hooks: ".cursor/hooks.json",
    in_groups: false,
    start: Some("sessionStart"),
    stop: "stop",
    input: |event, round| {
        json!({"conversation_id": "7f0e4b53-9f2c-4c1e-8f3b-1c6e0f0e5c9d", "generation_id": "g", "model": "m", "hook_event_name": event,
            "cursor_version": "3.7.21", "workspace_roots": ["/work"], "user_email": null,
            "transcript_path": null, "session_id": "7f0e4b53-9f2c-4c1e-8f3b-1c6e0f0e5c9d", "status": "completed", "loop_count": round})
    },
    context: |answer| answer["additional_context"].as_str(),
    continuation: |answer| answer["followup_message"].as_str(),
    server: (".cursor/mcp.json", "/mcpServers/homing/args/0"),
};

const GOOSE: Documented = Documented {
    name: "goose",
    hooks: ".agents/plugins/homing/hooks/hooks.json",
    in_groups: true,
    start: None,
    stop: "Stop",
    input: |event, _| json!({"event": event, "session_id": "20261122_7", "last_assistant_message": "Done."}),
    context: |_| None,
    continuation: |answer| answer["reason"].as_str().filter(|_| answer["decision"] == "block"),
    server: (".agents/plugins/homing/plugin.json", "/name"),
};

struct StandIn<'a> {
    documented: &'a Documented,
    setup: &'a Setup,
    /// The `PATH` that contains `homing`.
    path: String,
}

impl StandIn<'_> {
    fn homing(&self, arguments: &[&str]) -> Answer {
        crate::setup::answer(self.with_home(self.setup.command(arguments)))
    }

    fn with_home(&self, mut command: Command) -> Command {
        command
            .env("HOME", self.setup.home.scratch())
            .env("PATH", &self.path)
            .env_remove("CLAUDE_CONFIG_DIR");
        command
    }

    fn read(&self, file: &str) -> Value {
        let text =
            std::fs::read_to_string(self.setup.home.scratch().join(file)).expect("a configuration file");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Runs the configured hook for an event and returns its answer.
    fn call(&self, event: &str, round: u64) -> Option<Value> {
        let hooks = self.read(self.documented.hooks);
        let list = hooks["hooks"][event].as_array().expect("hooks for the event");
        let [hook] = list.as_slice() else { panic!("one hook for {event}: {list:?}") };
        let hook = if self.documented.in_groups { &hook["hooks"][0] } else { hook };
        let line = hook["command"].as_str().expect("a command");
        let input = (self.documented.input)(event, round).to_string();
        let answer = self.shell(line, &input);
        (!answer.is_empty()).then(|| serde_json::from_str(&answer).expect("an answer in JSON"))
    }

    /// Runs a command line in the shell of the harness.
    fn shell(&self, line: &str, input: &str) -> String {
        let outer = self.with_home(self.setup.command::<&str>(&[]));
        let mut command = Command::new("sh");
        command.args(["-c", line]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("HOMING_")));
        for (name, value) in outer.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // goose exports the session to its shell.
        command.env("AGENT_SESSION_ID", "20261122_7").current_dir(self.setup.home.scratch());
        if self.documented.start.is_some() {
            command.env_remove("AGENT_SESSION_ID");
        }
        let mut child = command.spawn().expect("a shell");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the input is read");
        let output = child.wait_with_output().expect("the shell exits");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Plays a session: the agent launches a job, ends its turn, and continues while hooks deliver messages. Returns
    /// these messages.
    fn session(&self) -> Vec<String> {
        let mut read = Vec::new();
        let mut line = "homing run 'echo greetings-$((40 + 2))'".to_owned();
        if let Some(start) = self.documented.start {
            let answer = self.call(start, 0).expect("an answer");
            let context = (self.documented.context)(&answer).expect("context").to_owned();
            // Follow the instructions as an agent would.
            let (_, rest) = context.split_once("HOMING_SESSION=").expect("instructions");
            let (prefix, _) = rest.split_once("homing run").expect("instructions");
            line = format!("HOMING_SESSION={prefix}{line}");
        }
        let id = self.shell(&line, "").trim().to_owned();
        self.setup.wait_for_end(&id);
        for round in 0..10 {
            let Some(answer) = self.call(self.documented.stop, round) else { break };
            let Some(next) = (self.documented.continuation)(&answer) else { break };
            read.push(next.to_owned());
        }
        assert_eq!(self.setup.follow_up(&id), "acknowledged");
        read
    }
}

fn folder_with_homing(setup: &Setup) -> PathBuf {
    let bin = setup.home.scratch().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_homing"), bin.join("homing")).expect("a link");
    bin
}

fn play_session(documented: &Documented) {
    let setup = Setup::new();
    let bin = folder_with_homing(&setup);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH is set"));
    let stand_in = StandIn { documented, setup: &setup, path };
    let written = stand_in.homing(&["setup", documented.name, "--write"]);
    assert_eq!((written.status, written.stderr.as_str()), (Some(0), ""), "{written:?}");
    let (file, pointer) = documented.server;
    assert!(stand_in.read(file).pointer(pointer).is_some());
    let read = stand_in.session();
    let [message] = read.as_slice() else { panic!("one message: {read:?}") };
    assert!(message.contains("greetings-42"), "{message}");
    let undone = stand_in.homing(&["setup", documented.name, "--undo"]);
    assert_eq!(undone.status, Some(0), "{undone:?}");
    assert!(!setup.home.scratch().join(documented.hooks).exists());
}

#[test]
fn gemini_receives_the_result() {
    play_session(&GEMINI);
}

#[test]
fn cursor_receives_the_result() {
    play_session(&CURSOR);
}

#[test]
fn goose_receives_the_result() {
    play_session(&GOOSE);
}

#[test]
fn setup_uses_the_program_name_that_path_resolves() {
    let setup = Setup::new();
    let bin = folder_with_homing(&setup);
    let named = |path: &Path| {
        let mut command = setup.command(&["setup", "cursor", "--json"]);
        command.env("HOME", setup.home.scratch()).env("PATH", path);
        let document = crate::setup::answer(command).json();
        assert_eq!((&document["harness"], &document["written"]), (&json!("cursor"), &json!(false)));
        assert_eq!(document["files"][0]["change"], "made");
        document["files"][0]["diff"].as_str().expect("a text").to_owned()
    };
    assert!(named(&bin).contains("\"command\": \"homing\""));
    let elsewhere = named(Path::new("/nowhere"));
    assert!(elsewhere.contains(&format!("\"command\": \"{}\"", env!("CARGO_BIN_EXE_homing"))), "{elsewhere}");
    let everything = std::fs::read_dir(setup.home.scratch()).expect("a folder").count();
    assert_eq!(everything, 1, "nothing was written");
}

#[test]
fn an_invalid_file_leaves_every_file_unchanged() {
    let setup = Setup::new();
    let broken = setup.file(".cursor/hooks.json", "{\"version\": 1,,}\n");
    let run = |more: &[&str]| {
        let mut command = setup.command(&[&["setup", "cursor", "--write"], more].concat());
        command.env("HOME", setup.home.scratch());
        crate::setup::answer(command)
    };
    let answer = run(&[]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
    assert!(answer.stderr.contains("hooks.json, which should be JSON"), "{answer:?}");
    assert!(
        answer.stderr.contains("add this yourself") && answer.stderr.contains("hook cursor"),
        "{answer:?}"
    );
    assert_eq!(run(&["--json"]).json()["error"]["code"], "unfit_file");
    assert_eq!(std::fs::read_to_string(broken).expect("the file exists"), "{\"version\": 1,,}\n");
    let beside = std::fs::read_dir(setup.home.scratch().join(".cursor")).expect("a folder").count();
    assert_eq!(beside, 1, "no other file is written");
}

#[test]
fn setup_keeps_a_route_of_the_user() {
    let setup = Setup::new();
    let own = "[sinks.mine]\npreset = \"cursor\"\n\n[[routes]]\nharness = \"cursor\"\nsink = \"mine\"\n";
    let config = setup.file("homing/config.toml", own);
    let mut command = setup.command(&["setup", "cursor", "--write"]);
    command.env("HOME", setup.home.scratch());
    assert_eq!(crate::setup::answer(command).status, Some(0));
    assert_eq!(std::fs::read_to_string(config).expect("the file exists"), own);
}

#[test]
fn the_route_stays_as_long_as_one_scope_needs_it() {
    let setup = Setup::new();
    let run = |words: &[&str]| {
        let mut command = setup.command(&[&["setup", "cursor"], words].concat());
        let project = setup.home.scratch().join("project");
        std::fs::create_dir_all(&project).expect("a folder");
        command.env("HOME", setup.home.scratch()).current_dir(project);
        let answer = crate::setup::answer(command);
        assert_eq!(answer.status, Some(0), "{answer:?}");
        answer.stdout
    };
    let config = setup.home.scratch().join("homing/config.toml");
    run(&["--write"]);
    run(&["--write", "--scope", "project"]);
    let output = run(&["--undo", "--scope", "project"]);
    assert!(output.contains("keeping the route") && config.exists(), "{output}");
    run(&["--undo"]);
    assert!(!config.exists());
}

#[test]
fn unsupported_arguments_are_rejected() {
    let setup = Setup::new();
    let answer = setup.run(&["setup", "goose", "--scope", "project"]);
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.contains("goose") && answer.stderr.contains("omit --scope"), "{answer:?}");
    let answer = setup.run(&["setup", "pigeon"]);
    assert_eq!(answer.status, Some(2));
    assert!(answer.stderr.contains("claude-code"), "{answer:?}");
}
