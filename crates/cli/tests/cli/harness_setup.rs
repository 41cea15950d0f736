//! `homing setup`: which agents it finds, what it says about them, and what it prints after it has written.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::setup::{Answer, Setup, answer};

/// A user with a home directory and a `PATH` of their own.
struct User {
    setup: Setup,
}

impl User {
    fn new() -> User {
        let user = User { setup: Setup::new() };
        std::fs::create_dir(user.home().join("bin")).expect("a folder");
        std::fs::create_dir(user.home().join("project")).expect("a folder");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_homing"), user.home().join("bin/homing"))
            .expect("a link");
        user
    }

    fn home(&self) -> &Path {
        self.setup.home.scratch()
    }

    /// Installs an agent that leaves a file if it is run.
    fn install(&self, name: &str) -> PathBuf {
        let was_run = self.home().join("was-run");
        let path =
            self.setup.file(&format!("bin/{name}"), &format!("#!/bin/sh\n: > '{}'\n", was_run.display()));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
        path
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let mut command = self.setup.command(&[&["setup"], arguments].concat());
        command
            .env("HOME", self.home())
            .env("PATH", self.home().join("bin"))
            .current_dir(self.home().join("project"));
        answer(command)
    }

    #[track_caller]
    fn set_up(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
        answer.stdout
    }

    /// What the overview says about a harness.
    #[track_caller]
    fn overview(&self, harness: &str) -> Value {
        let answer = self.run(&["--json"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
        let document = answer.json();
        let all = document["harnesses"].as_array().expect("a list");
        all.iter().find(|found| found["harness"] == harness).expect("every harness is listed").clone()
    }

    fn state(&self, harness: &str) -> String {
        self.overview(harness)["user"]["state"].as_str().expect("a state").to_owned()
    }
}

#[test]
fn installed_agents_are_found_without_running_them() {
    let user = User::new();
    let claude = user.install("claude");
    // Neither of these is a program.
    std::fs::create_dir(user.home().join("bin/goose")).expect("a folder");
    user.setup.file("bin/gemini", "");
    std::fs::create_dir(user.home().join(".codex")).expect("a folder");
    let found = user.overview("claude-code");
    assert_eq!(found["installed"], true);
    assert_eq!(found["program"].as_str().map(Path::new), Some(claude.as_path()));
    assert_eq!((&found["config_directory"], &found["plugin"]), (&Value::Null, &json!(false)));
    assert_eq!(found["command"], "homing setup claude-code --write");
    let found = user.overview("codex");
    assert_eq!((&found["installed"], &found["program"]), (&json!(true), &Value::Null));
    for absent in ["goose", "gemini", "cursor", "opencode"] {
        let found = user.overview(absent);
        assert_eq!((&found["installed"], &found["command"]), (&json!(false), &Value::Null), "{absent}");
    }
    let text = user.set_up(&[]);
    assert!(text.contains(&format!("claude-code   no       {}\n", claude.display())), "{text}");
    assert!(text.contains("/.codex (no program in PATH)\n"), "{text}");
    assert!(text.contains("\nNot found: gemini, opencode, goose, cursor.\n"), "{text}");
    assert!(text.contains("\n  homing setup claude-code --write\n  homing setup codex --write\n"), "{text}");
    assert!(!user.home().join("was-run").exists());
    assert!(!user.setup.home.path().exists(), "no home is created");
}

#[test]
fn without_agents_the_overview_says_so() {
    let text = User::new().set_up(&[]);
    assert!(text.starts_with("No agent was found") && text.contains("claude-code, codex"), "{text}");
}

#[test]
fn the_overview_follows_the_setup() {
    let user = User::new();
    user.install("claude");
    user.install("gemini");
    assert_eq!(user.state("claude-code"), "no");
    user.set_up(&["claude-code", "--write"]);
    let found = user.overview("claude-code");
    assert_eq!((&found["user"]["state"], &found["command"]), (&json!("yes"), &Value::Null), "{found:#}");
    assert_eq!(found["project"]["state"], "no");

    // The route is missing.
    let config = user.home().join("homing/config.toml");
    std::fs::write(&config, "").expect("a file");
    let found = user.overview("claude-code");
    assert_eq!((&found["user"]["state"], &found["user"]["missing"]), (&json!("partly"), &json!(["route"])));
    assert!(user.set_up(&[]).contains("missing: route"));
    // A route for every harness is enough.
    std::fs::write(
        &config,
        "[sinks.mine]\nwebhook = \"http://127.0.0.1:9/\"\n\n[[routes]]\nsink = \"mine\"\n",
    )
    .expect("a file");
    assert_eq!(user.state("claude-code"), "yes");
    std::fs::write(&config, "agents = [\"claude-code\"]\n").expect("a file");

    // A version without alwaysLoad wrote the server.
    let servers = user.home().join(".claude.json");
    let current = std::fs::read_to_string(&servers).expect("a file");
    let old = current.replace(",\n      \"alwaysLoad\": true", "");
    assert_ne!(old, current);
    std::fs::write(&servers, &old).expect("a file");
    let found = user.overview("claude-code");
    assert_eq!((&found["user"]["state"], &found["user"]["older"]), (&json!("older"), &json!(["MCP server"])));
    assert_eq!(found["command"], "homing setup claude-code --write");
    user.set_up(&["claude-code", "--write"]);
    assert_eq!(std::fs::read_to_string(&servers).expect("a file"), current);
    assert_eq!(user.state("claude-code"), "yes");

    // From `gemini mcp add`: without hooks.
    user.setup.file(
        ".gemini/settings.json",
        r#"{"mcpServers": {"homing": {"command": "homing", "args": ["mcp"]}}}"#,
    );
    let found = user.overview("gemini");
    assert_eq!(found["user"]["state"], "partly", "{found:#}");
    let missing = found["user"]["missing"].as_array().expect("a list");
    assert!(missing.contains(&json!("hook AfterAgent")) && missing.contains(&json!("route")), "{missing:?}");
    assert!(!missing.contains(&json!("MCP server")), "{missing:?}");
    user.set_up(&["gemini", "--write"]);
    assert!(user.set_up(&[]).contains("Every agent that was found is set up."));

    user.set_up(&["gemini", "--write", "--scope", "project"]);
    assert_eq!(user.overview("gemini")["project"]["state"], "yes");
    user.set_up(&["claude-code", "--undo"]);
    assert_eq!(user.state("claude-code"), "no");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_does_not_hide_other_agents() {
    let user = User::new();
    user.install("claude");
    user.setup.file(".codex/config.toml", "[mcp_servers\n");
    let found = user.overview("codex");
    assert_eq!(found["user"]["state"], "unknown");
    let error = found["user"]["error"].as_str().expect("a text");
    assert!(error.contains("config.toml") && error.contains("line 1"), "{error}");
    assert_eq!(user.state("claude-code"), "no");
    assert!(user.set_up(&[]).contains(error));
    // The configuration of homing itself.
    let config = user.setup.file("homing/config.toml", "agents = 7\n");
    assert_eq!(user.state("claude-code"), "unknown");
    std::fs::remove_file(config).expect("a file");
    assert_eq!(user.state("claude-code"), "no");
}

#[test]
fn the_plugin_of_claude_code_takes_the_place_of_the_files() {
    let user = User::new();
    let settings = user.setup.file(".claude/settings.json", r#"{"enabledPlugins": {"homing@homing": true}}"#);
    let found = user.overview("claude-code");
    assert_eq!((&found["plugin"], &found["user"]["state"]), (&json!(true), &json!("partly")), "{found:#}");
    assert_eq!(found["user"]["missing"], json!(["route"]));
    let text = user.set_up(&["claude-code", "--write"]);
    assert!(
        text.contains("setup adds only the route") && text.contains("mcp__plugin_homing_homing"),
        "{text}"
    );
    assert!(!user.home().join(".claude.json").exists());
    assert_eq!(user.state("claude-code"), "yes");
    assert!(user.set_up(&[]).contains("by the plugin of homing"));

    // Both: each hook runs twice.
    std::fs::remove_file(&settings).expect("a file");
    user.set_up(&["claude-code", "--write"]);
    let text = std::fs::read_to_string(&settings).expect("a file");
    let text = text.replacen('{', r#"{"enabledPlugins": {"homing@homing": true},"#, 1);
    std::fs::write(&settings, text).expect("a file");
    let text = user.set_up(&["claude-code"]);
    assert!(text.contains("each hook runs twice") && text.contains("--undo"), "{text}");
    // A plugin that is not enabled.
    std::fs::write(&settings, r#"{"enabledPlugins": {"homing@homing": false}}"#).expect("a file");
    assert_eq!(user.overview("claude-code")["plugin"], false);
}

#[test]
fn the_next_steps_follow_the_changes() {
    let user = User::new();
    for (harness, rule, file) in [
        ("claude-code", r#"{"permissions": {"allow": ["mcp__homing"]}}"#, "CLAUDE.md"),
        ("codex", r#"default_tools_approval_mode = "approve""#, "AGENTS.md"),
        ("gemini", r#""trust": true"#, "GEMINI.md"),
        ("opencode", r#"{"permission": {"homing_*": "allow"}}"#, "AGENTS.md"),
        ("goose", "goose configure", ".goosehints"),
        ("cursor", r#"{"permissions": {"allow": ["Mcp(homing:*)"]}}"#, "AGENTS.md"),
    ] {
        let shown = user.set_up(&[harness]);
        assert!(!shown.contains("Ask your agent"), "{shown}");
        let text = user.set_up(&[harness, "--write"]);
        for part in ["\nAsk your agent: ", rule, file, "Never sleep, poll or loop"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // Again, when nothing changes.
        assert!(user.set_up(&[harness, "--write"]).contains(rule));
        let document = user.run(&[harness, "--json"]).json();
        let steps = &document["next_steps"];
        assert_eq!(steps["instructions"]["project_file"], file);
        assert_eq!(steps["permission"].is_null(), harness == "goose", "{steps:#}");
        let undone = user.set_up(&[harness, "--undo"]);
        assert!(!undone.contains("Ask your agent") && !undone.contains(rule), "{undone}");
    }
    let project = user.run(&["claude-code", "--scope", "project", "--json"]).json();
    let file = project["next_steps"]["permission"]["file"].as_str().expect("a path");
    assert!(file.ends_with("project/.claude/settings.local.json"), "{file}");
}

#[test]
fn secrets_of_the_user_are_not_printed() {
    let user = User::new();
    let json = r#"{"env": {"KEY": "sk-secret"}, "mcpServers": {"a": {"command": "a", "env": {"T": "sk-secret"}}}, "last": "sk-secret"}"#;
    user.setup.file(".claude.json", json);
    user.setup.file(".claude/settings.json", "{\n  // sk-secret\n  \"last\": \"sk-secret\" // sk-secret\n}");
    user.setup.file(".gemini/settings.json", "{\n  \"key\": \"sk-secret\"\n}\n");
    user.setup
        .file(".codex/config.toml", "key = \"sk-secret\"\n[mcp_servers.a]\nenv = { K = \"sk-secret\" }");
    user.setup.file("goose/config.yaml", "extensions:\n  a: {key: sk-secret}\nkey: sk-secret");
    for harness in ["claude-code", "gemini", "codex", "goose"] {
        for options in
            [&[][..], &["--json"], &["--write"], &["--write", "--json"], &["--undo"], &["--undo", "--json"]]
        {
            let text = user.set_up(&[&[harness], options].concat());
            assert!(!text.contains("secret"), "{harness} {options:?}: {text}");
            assert!(text.contains("homing"), "{harness} {options:?}: {text}");
        }
    }
    for options in [&[][..], &["--json"]] {
        assert!(!user.set_up(options).contains("secret"));
    }
}

#[test]
fn options_need_a_harness() {
    let user = User::new();
    for option in [&["--write"][..], &["--undo"], &["--scope", "project"]] {
        let answer = user.run(option);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{option:?}: {answer:?}");
        assert!(answer.stderr.contains("<HARNESS>"), "{answer:?}");
    }
}
