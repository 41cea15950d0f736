//! Answers of `homing hook` to inputs recorded from harnesses.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::setup::{Answer, Setup};

const SESSION: &str = "e4c06cd5-7b9a-489f-a7bb-b49b42db6127";

/// Input that Claude Code 2.1.197 sends at the end of a turn.
fn stop(session: &str) -> Value {
    json!({"session_id": session, "transcript_path": "/nowhere/transcript.jsonl", "cwd": "/work",
        "prompt_id": "78d408ee-7e39-4482-a997-c81098ab525d", "permission_mode": "default",
        "hook_event_name": "Stop", "stop_hook_active": false, "last_assistant_message": "LAUNCHED",
        "background_tasks": [], "session_crons": []})
}

/// Input that Codex 0.169 sends when the user submits a prompt.
fn codex_prompt(session: &str) -> Value {
    json!({"session_id": session, "turn_id": "01a20559-bcf9-7433-9864-e6980aecf9e0",
        "transcript_path": null, "cwd": "/work", "hook_event_name": "UserPromptSubmit", "model": "gpt-5",
        "permission_mode": "bypassPermissions", "prompt": "how far is it?"})
}

fn with(mut input: Value, key: &str, value: impl Into<Value>) -> Value {
    input[key] = value.into();
    input
}

impl Setup {
    fn hook(&self, arguments: &[&str], input: &str) -> Answer {
        let mut command = self.command(&[&["hook"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        // Some calls exit without reading all of their input.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the program exits");
        Answer {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// The answer to a hook, which must always succeed.
    #[track_caller]
    fn hook_answer(&self, harness: &str, input: &Value) -> Value {
        let answer = self.hook(&[harness], &input.to_string());
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
        match answer.stdout.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).expect("a document"),
        }
    }
}

#[test]
fn a_result_is_delivered_once_and_acknowledged_when_the_agent_has_received_it() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", SESSION], "echo built; exit 3");
    assert_eq!(setup.hook_answer("claude-code", &stop("another")), Value::Null);
    let answer = setup.hook_answer("claude-code", &stop(SESSION));
    assert_eq!(answer["decision"], "block");
    let reason = answer["reason"].as_str().expect("a reason");
    assert!(reason.contains(&id) && reason.contains("built"), "{reason}");
    assert_eq!(setup.follow_up(&id), "handed_off");
    // A second hook at the end of the same turn proves nothing, because the transcript may not be written yet.
    assert_eq!(setup.hook_answer("claude-code", &stop(SESSION)), Value::Null);
    assert_eq!(setup.follow_up(&id), "handed_off");
    // The turn that the answer started has ended.
    let next = with(stop(SESSION), "stop_hook_active", true);
    assert_eq!(setup.hook_answer("claude-code", &next), Value::Null);
    assert_eq!(setup.follow_up(&id), "acknowledged");
    assert_eq!(setup.hook_answer("claude-code", &stop(SESSION)), Value::Null);
}

#[test]
fn the_transcript_proves_what_the_agent_has_received() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", SESSION], "echo built");
    let transcript = setup.file("transcript.jsonl", "{}\n");
    let input = with(stop(SESSION), "transcript_path", transcript.to_str().expect("text"));
    let answer = setup.hook_answer("claude-code", &input);
    let other = setup.finished_with(&["--session", SESSION], "echo other");
    // The agent was blocked and did not receive the reason, so it is not blocked again.
    let kept = with(input.clone(), "stop_hook_active", true);
    assert_eq!(setup.hook_answer("claude-code", &kept), Value::Null);
    assert_eq!((setup.follow_up(&id), setup.follow_up(&other)), ("handed_off".into(), "pending".into()));
    setup.file("transcript.jsonl", &format!("{}\n", json!({"message": answer["reason"]})));
    let answer = setup.hook_answer("claude-code", &kept);
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains(&other)), "{answer}");
    assert_eq!((setup.follow_up(&id), setup.follow_up(&other)), ("acknowledged".into(), "handed_off".into()));
}

#[test]
fn an_unconfirmed_wake_is_delivered_again_with_the_same_id() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", SESSION], "echo built");
    let transcript = setup.file("transcript.jsonl", "{}\n");
    let input = with(stop(SESSION), "transcript_path", transcript.to_str().expect("text"));
    let first = setup.hook_answer("claude-code", &input);
    assert_eq!(setup.hook_answer("claude-code", &input), Value::Null);
    // As if 15 minutes had passed.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    ledger.execute("UPDATE wakes SET next_at = 0", []).expect("a wake");
    assert_eq!(setup.hook_answer("claude-code", &input), first, "the same text");
    assert_eq!(setup.follow_up(&id), "handed_off");
}

#[test]
fn a_prompt_of_the_user_gets_the_result_as_context() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", SESSION], "echo built");
    let answer = setup.hook_answer("codex", &codex_prompt(SESSION));
    assert_eq!(answer["hookSpecificOutput"]["hookEventName"], "UserPromptSubmit");
    let context = answer["hookSpecificOutput"]["additionalContext"].as_str().expect("a text");
    assert!(context.contains(&id), "{context}");
    assert_eq!(setup.hook_answer("codex", &codex_prompt(SESSION)), Value::Null);
}

#[test]
fn answers_follow_the_documentation_of_each_harness() {
    let setup = Setup::new();
    let gemini = |event: &str| {
        json!({"session_id": SESSION, "transcript_path": "", "cwd": "/work", "hook_event_name": event,
            "timestamp": "2026-11-22T11:00:00Z", "prompt": "x", "prompt_response": "y", "stop_hook_active": false})
    };
    let answer = setup.hook_answer("gemini", &gemini("SessionStart"));
    let context = answer["hookSpecificOutput"]["additionalContext"].as_str().expect("a text");
    assert!(
        context.contains(&format!("HOMING_SESSION={SESSION} HOMING_HARNESS=gemini homing run")),
        "{context}"
    );
    setup.finished_with(&["--session", SESSION], "echo built");
    let answer = setup.hook_answer("gemini", &gemini("AfterAgent"));
    assert!(
        answer["decision"] == "deny" && answer["reason"].as_str().is_some_and(|text| text.contains("built"))
    );

    let cursor = |event: &str, status: &str| {
        json!({"conversation_id": "c-1", "generation_id": "g", "hook_event_name": event, "status": status,
            "loop_count": 0, "cursor_version": "3.7.21", "workspace_roots": ["/work"], "transcript_path": null})
    };
    let answer = setup.hook_answer("cursor", &cursor("sessionStart", "completed"));
    assert_eq!(answer["env"]["HOMING_SESSION"], "c-1");
    setup.finished_with(&["--session", "c-1"], "echo built");
    assert_eq!(
        setup.hook_answer("cursor", &cursor("stop", "aborted")),
        Value::Null,
        "the user aborted the turn"
    );
    let answer = setup.hook_answer("cursor", &cursor("stop", "completed"));
    assert!(answer["followup_message"].as_str().is_some_and(|text| text.contains("built")), "{answer}");

    let goose = json!({"event": "Stop", "session_id": "20261122_1", "last_assistant_message": "Done."});
    setup.finished_with(&["--session", "20261122_1"], "echo built");
    assert_eq!(setup.hook_answer("goose", &goose)["decision"], "block");
}

#[test]
fn errors_do_not_disturb_the_harness() {
    let setup = Setup::new();
    let fine = stop(SESSION).to_string();
    for (arguments, input, reason) in [
        (vec!["claude-code"], "no JSON", "no JSON"),
        (vec!["claude-code"], "{}", "no session"),
        (vec!["pigeon"], fine.as_str(), "no hooks for \"pigeon\""),
        (vec![], fine.as_str(), "no hooks for"),
    ] {
        let answer = setup.hook(&arguments, input);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
        assert!(answer.stderr.contains(reason), "{answer:?}");
    }
    let answer = setup.hook(&["claude-code", "--of-a-later-version"], &fine);
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (Some(0), "", ""));
    std::fs::create_dir(setup.home.path()).expect("a folder");
    setup.file("homing/config.toml", "no = such\n");
    let answer = setup.hook(&["claude-code"], &fine);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
    assert!(answer.stderr.contains("config.toml"), "{answer:?}");
}

#[test]
fn a_locked_ledger_does_not_delay_a_turn() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", SESSION], "echo built");
    let mut ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    let lock = ledger
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("the ledger is not locked");
    let answer = setup.hook(&["claude-code"], &stop(SESSION).to_string());
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
    assert!(answer.stderr.contains("ledger"), "{answer:?}");
    drop(lock);
    assert_eq!(setup.hook_answer("claude-code", &stop(SESSION))["decision"], "block");
    assert_eq!(setup.follow_up(&id), "handed_off");
}

#[test]
fn a_hook_does_not_create_a_home() {
    let setup = Setup::new();
    for event in ["Stop", "UserPromptSubmit", "SessionEnd"] {
        assert_eq!(
            setup.hook_answer("claude-code", &with(stop(SESSION), "hook_event_name", event)),
            Value::Null
        );
    }
    let answer = setup.hook(&["claude-code", "--wait"], &stop(SESSION).to_string());
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (Some(0), "", ""));
    assert!(!setup.home.path().exists());
}

#[test]
fn a_waiting_hook_exits_where_it_would_block_the_harness() {
    let setup = Setup::new();
    let id = setup.launch_with(&["--session", SESSION], "sleep MARK");
    for entrypoint in ["sdk-cli", "cli"] {
        // `cli` is a terminal, but not the one in which the session is open.
        let mut command = setup.command(&["hook", "claude-code", "--wait"]);
        command.env("CLAUDE_CODE_ENTRYPOINT", entrypoint).env("CLAUDE_CONFIG_DIR", setup.home.scratch());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(stop(SESSION).to_string().as_bytes())
            .expect("the input is read");
        let output = child.wait_with_output().expect("the program exits");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    }
    setup.kill(&id);
}

#[test]
fn a_listening_plugin_receives_the_result_and_confirms_it() {
    let setup = Setup::new();
    let gate = setup.home.scratch().join("gate");
    let script = format!("until [ -e {} ]; do sleep 0.02; done; echo built", gate.display());
    let id = setup.launch_with(&["--session", "ses_1"], &script);
    let idle = json!({"hook_event_name": "session.idle", "session_id": "ses_1"}).to_string();
    let answer = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| setup.hook(&["opencode", "--wait"], &idle));
        wait_until("the hook waits", || {
            let home = std::fs::read_dir(setup.home.path()).expect("a home").flatten();
            home.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("waiting-"))
        });
        std::fs::write(&gate, "").expect("the gate opens");
        waiter.join().expect("the program exits")
    });
    let message: Value = serde_json::from_str(&answer.stdout).expect("a document");
    assert!(message["text"].as_str().is_some_and(|text| text.contains("built")), "{message}");
    assert_eq!(setup.follow_up(&id), "handed_off");
    let shown = json!({"hook_event_name": "homing.shown", "session_id": "ses_1", "wake": message["wake"]});
    assert_eq!(setup.hook_answer("opencode", &shown), Value::Null);
    assert_eq!(setup.follow_up(&id), "acknowledged");
}

#[test]
fn a_waiting_hook_exits_when_its_reader_is_gone() {
    let setup = Setup::new();
    let id = setup.launch_with(&["--session", "ses_1"], "sleep MARK");
    let mut command = setup.command(&["hook", "opencode", "--wait"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program runs");
    let idle = json!({"hook_event_name": "session.idle", "session_id": "ses_1"}).to_string();
    child.stdin.take().expect("a pipe").write_all(idle.as_bytes()).expect("the input is read");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("the program exits").code(), Some(0));
    setup.kill(&id);
}
