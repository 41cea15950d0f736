//! Presets against programs that behave like the harnesses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use homing_core::{Delivery, Wake};
use homing_supervisor::platform::ProcessIdentity;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::config::RouteConfig;
use crate::delivery::routes::preset_route;
use crate::harness::preset_names;
use crate::process::testing::{EndsAtDrop, wake};

pub(super) const SESSION: &str = "8ea33794-a111-41a6-9d20-26cb0c63612b";

/// A home with a harness that is a shell script.
pub(super) struct Harness {
    folder: TempDir,
    name: &'static str,
}

impl Harness {
    pub(super) fn new(name: &'static str, script: &str) -> Harness {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        // Another process writes it. If this process had it open for writing, children of other tests could inherit
        // the descriptor, and running it would fail ("text file busy").
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written =
            Command::new("sh").arg("-c").arg(write).args([program.as_os_str(), script.as_ref()]).status();
        assert!(written.unwrap().success());
        Harness { folder, name }
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        let path = self.folder.path().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub(super) fn write(&self, below: &str, text: &str) {
        fs::write(self.path(below), text).unwrap();
    }

    pub(super) fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    fn deliver(&self, wake: &Wake) -> Delivery {
        let _end = EndsAtDrop(wake.id);
        self.sink(Duration::from_secs(60)).deliver(wake)
    }

    pub(super) fn sink(&self, timeout: Duration) -> RunSink {
        let profile = Profile::named(self.name).unwrap();
        let Transport::Run(transport) = &profile.preset().transport else {
            panic!("{} is not a program", self.name)
        };
        let home = self.folder.path().as_os_str().to_owned();
        let paths = Paths::new(move |name| (name == "HOME").then(|| home.clone()));
        RunSink {
            profile,
            transport,
            program: Some(self.path("program").to_str().unwrap().to_owned()),
            arguments: vec!["--more".to_owned()],
            timeout,
            home: "/nowhere/home".into(),
            paths,
            arguments_of,
            acknowledge: Acknowledge::OnSuccess,
        }
    }

    fn answer(&self) -> Delivery {
        self.deliver(&wake(SESSION, "the job has finished"))
    }
}

pub(super) fn failed(error: &str) -> Delivery {
    Delivery::Failed { error: error.to_owned() }
}

fn result(is_error: bool, text: &str) -> String {
    json!({"type": "result", "subtype": "success", "is_error": is_error, "result": text, "session_id": SESSION})
        .to_string()
}

#[test]
fn every_preset_is_valid() {
    for profile in Profile::all() {
        match &profile.preset().transport {
            Transport::Run(transport) => {
                assert!(transport.argv.iter().any(|word| word.contains("{session}")), "{}", profile.name);
                assert!(transport.argv.contains(&"{arguments}".to_owned()), "{}", profile.name);
                assert!(
                    !transport.proof.is_empty() && transport.proof.iter().all(|proof| !proof.is_empty()),
                    "{}",
                    profile.name
                );
            }
            Transport::Post(transport) => {
                assert!(transport.body.contains("\"{text}\""), "{}", profile.name);
                assert!(
                    serde_json::from_str::<serde_json::Value>(&transport.body).is_ok(),
                    "{}",
                    profile.name
                );
            }
        }
        let config = PresetConfig {
            preset: profile.name.to_owned(),
            program: None,
            arguments: Vec::new(),
            url: None,
            key_file: None,
        };
        assert!(
            build(
                &config,
                Duration::from_secs(1),
                Acknowledge::OnSuccess,
                &SinkContext { home: Path::new("/h") }
            )
            .is_ok()
        );
    }
    assert!(preset_names().is_sorted());
}

#[test]
fn agents_add_a_route_by_harness_and_one_by_unique_ids() {
    let route = |session: Option<&str>, harness: Option<&str>, sink: &str| RouteConfig {
        session: session.map(str::to_owned),
        harness: harness.map(str::to_owned),
        sink: sink.to_owned(),
    };
    assert_eq!(preset_route("codex"), [route(None, Some("codex"), "codex")]);
    let opencode = [route(None, Some("opencode"), "opencode"), route(Some("ses_*"), None, "opencode")];
    assert_eq!(preset_route("opencode"), opencode);
}

#[test]
fn a_turn_counts_only_with_proof() {
    let answer = |output: &str, status: u8| {
        Harness::new("claude-code", &format!("cat >/dev/null; echo '{output}'; exit {status}")).answer()
    };
    assert_eq!(answer(&result(false, "done"), 0), Delivery::Delivered);
    assert_eq!(
        answer(&result(true, "Not logged in"), 1),
        failed("claude-code: exit status 1: Not logged in")
    );
    let cut_short = result(true, "").replace("\"success\"", "\"error_max_turns\"");
    assert_eq!(answer(&cut_short, 1), Delivery::Delivered);
    let unproven = "claude-code printed no proof that the turn ran: exit status 0";
    assert_eq!(answer(&result(true, "no"), 0), failed(&format!("{unproven}: no")));
    assert_eq!(answer("fine", 0), failed(&format!("{unproven}: fine")));
    assert_eq!(
        answer(&result(false, "done").replace("8ea3", "0000"), 0),
        failed(&format!("{unproven}: done"))
    );
}

#[test]
fn an_answer_far_longer_than_a_pipe_is_still_proof() {
    let text = "x".repeat(300_000);
    let harness = Harness::new("claude-code", "cat \"$(dirname \"$0\")/answer\"");
    harness.write("answer", &result(false, &text));
    assert_eq!(harness.answer(), Delivery::Delivered);
}

#[test]
fn it_runs_in_the_directory_of_the_session_and_reads_only_the_text() {
    let output = result(false, "done");
    let script = format!(
        "cd_=$(pwd); out=$(dirname \"$0\"); cat > \"$out/input\"; pwd > \"$out/pwd\"; echo \"$@\" > \"$out/arguments\"; env > \"$out/environment\"; echo '{output}'"
    );
    let harness = Harness::new("claude-code", &script);
    let project = harness.path("my.project/x").parent().unwrap().canonicalize().unwrap();
    let folder: String =
        project.to_str().unwrap().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let lines =
        [json!({"type": "queue"}), json!({"cwd": "/usr"}), json!({"cwd": project}), json!({"cwd": "/etc"})];
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    harness.write(&format!(".claude/projects/{folder}/{SESSION}.jsonl"), &lines);
    assert_eq!(harness.answer(), Delivery::Delivered);
    assert_eq!(harness.read("pwd").trim(), project.to_str().unwrap());
    assert_eq!(harness.read("input"), "the job has finished");
    assert_eq!(
        harness.read("arguments").trim(),
        format!("-p --resume {SESSION} --output-format json --more")
    );
    let environment = harness.read("environment");
    let has = |line: &str| environment.lines().any(|other| other.starts_with(line));
    assert!(has("HOMING_HARNESS=claude-code") && has("HOMING_HOME=/nowhere/home"), "{environment}");
    assert!(
        !has("HOMING_SESSION=") && !has("CLAUDECODE=") && !has("CLAUDE_CODE_SESSION_ID="),
        "{environment}"
    );
}

#[test]
fn a_harness_that_does_not_export_its_session_gets_it() {
    let harness = Harness::new(
        "opencode",
        "env > \"$(dirname \"$0\")/environment\"; echo '{\"type\":\"step_finish\",\"sessionID\":\"ses_1\"}'",
    );
    assert_eq!(harness.deliver(&wake("ses_1", "")), Delivery::Delivered);
    let environment = harness.read("environment");
    assert!(environment.contains("HOMING_SESSION=ses_1\n"), "{environment}");
    assert!(environment.contains("HOMING_HARNESS=opencode\n"), "{environment}");
}

#[test]
fn the_directory_is_found_in_a_database_too() {
    let harness = Harness::new(
        "opencode",
        "pwd > \"$(dirname \"$0\")/pwd\"; echo '{\"type\":\"step_finish\",\"sessionID\":\"ses_1\"}'",
    );
    let project = harness.path("project/x").parent().unwrap().canonicalize().unwrap();
    let database = rusqlite::Connection::open(harness.path(".local/share/opencode/opencode.db")).unwrap();
    database.execute_batch("CREATE TABLE session (id TEXT, directory TEXT)").unwrap();
    database.execute("INSERT INTO session VALUES ('ses_1', ?1)", [project.to_str().unwrap()]).unwrap();
    assert_eq!(harness.deliver(&wake("ses_1", "")), Delivery::Delivered);
    assert_eq!(harness.read("pwd").trim(), project.to_str().unwrap());
}

#[test]
fn a_live_session_is_busy_and_a_stale_file_is_ignored() {
    let harness = Harness::new(
        "claude-code",
        &format!("touch \"$(dirname \"$0\")/ran\"; echo '{}'", result(false, "")),
    );
    let me = ProcessIdentity::of_this_process().unwrap();
    let file = |session: &str, pid: u32, start: u64| {
        json!({"pid": pid, "sessionId": session, "procStart": start.to_string(), "kind": "interactive"})
            .to_string()
    };
    harness.write(".claude/sessions/4194305.json", "{");
    harness.write(".claude/sessions/2.json", &file(SESSION, me.pid, me.start_ticks));
    let reason = format!("the session is open in claude-code, process {}", me.pid);
    assert_eq!(harness.answer(), Delivery::Busy { retry_after: None, reason });
    assert!(!harness.path("ran").exists());
    // The pid belongs to another process; no process has the pid; the process has another session open.
    for stale in [
        file(SESSION, me.pid, me.start_ticks - 1),
        file(SESSION, 4_194_305, 7),
        file("other", me.pid, me.start_ticks),
    ] {
        harness.write(".claude/sessions/2.json", &stale);
        assert_eq!(harness.answer(), Delivery::Delivered, "{stale}");
    }
}

#[test]
fn a_file_without_a_start_time_counts_only_for_an_older_process() {
    let harness = Harness::new("claude-code", &format!("echo '{}'", result(false, "")));
    let file = json!({"pid": std::process::id(), "sessionId": SESSION}).to_string();
    harness.write(".claude/sessions/2.json", &file);
    assert!(matches!(harness.answer(), Delivery::Busy { .. }));
    let path = harness.path(".claude/sessions/2.json");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    assert_eq!(harness.answer(), Delivery::Delivered);
}

#[test]
fn a_session_is_gone_only_if_no_trace_of_it_exists() {
    let text = format!("No conversation found with session ID: {SESSION}");
    let harness = Harness::new("claude-code", &format!("echo '{text}' >&2; exit 1"));
    assert_eq!(harness.answer(), Delivery::Gone { reason: text.clone() });
    harness.write(&format!(".claude/projects/p/{SESSION}.jsonl"), "{}\n");
    assert_eq!(harness.answer(), failed(&format!("{text}; but a session with that id exists")));
}

#[test]
fn an_id_of_another_form_is_never_tried() {
    for name in ["claude-code", "codex", "gemini", "goose", "opencode"] {
        let harness = Harness::new(name, "touch \"$(dirname \"$0\")/ran\"");
        for session in ["default", "chat-1", "--help"] {
            let reason = format!("{session:?} is not a session id of {name}");
            assert_eq!(harness.deliver(&wake(session, "")), Delivery::Gone { reason });
        }
        assert!(!harness.path("ran").exists());
    }
}

#[test]
fn codex_reports_open_and_unknown_threads_itself() {
    let answer = |line: &str| {
        Harness::new("codex", &format!("echo '{line}' >&2; echo; echo 'Stack backtrace:' >&2; exit 1"))
            .answer()
    };
    let open =
        format!("Error: thread/resume failed: thread {SESSION} already has an active writer (code -32600)");
    assert_eq!(answer(&open), Delivery::Busy { retry_after: None, reason: open });
    let unknown = format!("Error: thread/resume failed: no rollout found for thread id {SESSION}");
    assert_eq!(answer(&unknown), Delivery::Gone { reason: unknown });
    let turn_failed = "echo '{\"type\":\"turn.started\"}'; echo '{\"type\":\"turn.failed\",\"error\":{\"message\":\"quota\"}}'; exit 1";
    assert_eq!(Harness::new("codex", turn_failed).answer(), failed("codex: exit status 1: quota"));
    let completed = "echo '{\"type\":\"turn.completed\"}'";
    assert_eq!(Harness::new("codex", completed).answer(), Delivery::Delivered);
}

#[test]
fn gemini_is_not_started_where_it_would_begin_another_session() {
    let harness = Harness::new(
        "gemini",
        &format!(
            "pwd > \"$(dirname \"$0\")/pwd\"; echo '{{\"session_id\":\"{SESSION}\",\"response\":\"ok\"}}'"
        ),
    );
    assert_eq!(harness.answer(), failed("cannot find the directory of this session of gemini"));
    let project = harness.path("project/x").parent().unwrap().canonicalize().unwrap();
    harness.write(".gemini/tmp/p/chats/session-2026-11-22T10-00-8ea33794.json", "{}");
    harness.write(".gemini/tmp/p/.project_root", project.to_str().unwrap());
    assert_eq!(harness.answer(), Delivery::Delivered);
    assert_eq!(harness.read("pwd").trim(), project.to_str().unwrap());
}
