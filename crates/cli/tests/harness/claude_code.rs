//! Claude Code.

use std::process::Output;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::claude_terminal::Open;
use crate::offline::offline;
use crate::stage::{FINISHES_AT_GATE, FINISHES_DURING_THE_TURN, PRINTED, Stage};

pub(crate) const MODEL: [&str; 2] = ["--model", "claude-sonnet-4-5"];

fn stage() -> Option<Stage> {
    Some(with_model(Stage::new("claude-code", "claude", "Claude Code")?))
}

/// A stage on which only the files of `homing setup` notify sessions.
fn stage_set_up(command: &str) -> Option<Stage> {
    Some(set_up(Stage::launching(command, "claude", "Claude Code")?))
}

/// Gives Claude Code its own folder for settings and sets up homing in it.
pub(crate) fn set_up(stage: Stage) -> Stage {
    let mut stage = with_model(stage);
    let folder = stage.home.scratch().join("claude");
    stage.set("CLAUDE_CONFIG_DIR", folder);
    stage.write("claude/.claude.json", &already_set_up(&stage).to_string());
    stage.set_up("claude-code");
    stage
}

/// Configures Claude Code for the scripted model only.
pub(crate) fn with_model(mut stage: Stage) -> Stage {
    stage.set("ANTHROPIC_BASE_URL", stage.model.url());
    stage.set("ANTHROPIC_API_KEY", "sk-ant-scripted");
    for name in [
        "IS_SANDBOX",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_AUTOUPDATER",
    ] {
        stage.set(name, "1");
    }
    stage
}

/// One turn without a terminal, in which only this tool is allowed.
pub(crate) fn turn(stage: &Stage, tool: &str, arguments: &[&str]) -> Output {
    let mut command = stage.command("claude");
    command.args(["-p", "--output-format", "json", "--allowedTools", tool]).args(MODEL).args(arguments);
    command.output().expect("it runs")
}

#[test]
fn claude_code_is_resumed_in_the_session_that_launched_the_job() {
    offline("claude_code::claude_code_is_resumed_in_the_session_that_launched_the_job", || {
        let Some(stage) = stage() else { return };
        let turn = turn(&stage, "Bash", &["--", "LAUNCH please"]);
        let answer = Stage::document(&turn);
        assert_eq!(answer["result"], "LAUNCHED", "{turn:?}");
        let job = stage.finished_job();
        assert_eq!(job["session"], answer["session_id"], "{job:#}");
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn an_open_claude_code_is_not_resumed_until_it_is_closed() {
    offline("claude_code::an_open_claude_code_is_not_resumed_until_it_is_closed", || {
        let Some(stage) = stage() else { return };
        stage.write(".claude.json", &already_set_up(&stage).to_string());
        let mut open = Open::launching(&stage);
        let job = stage.finished_job();
        let (session, pid) = open.session();
        assert_eq!(job["session"].as_str(), Some(session.as_str()), "{job:#}");
        stage.wake();
        let follow_up = &stage.job()["follow_up"];
        assert_eq!(follow_up["state"], "pending", "{follow_up:#}");
        let reason = follow_up["last_error"].as_str().expect("a reason");
        assert!(reason.contains(&format!("open in claude-code, process {pid}")), "{reason}");

        // A killed Claude Code leaves its session file.
        open.kill_once_written("LAUNCHED");
        assert_eq!(open.session(), (session, pid));
        let retry = stage.homing(&["retry", job["id"].as_str().expect("an id")]);
        assert!(retry.status.success(), "{retry:?}");
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends() {
    offline("claude_code::a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends", || {
        // Output of the maximal length of a text.
        let command = FINISHES_DURING_THE_TURN.replace("'echo", "'seq 20000; echo");
        let Some(stage) = stage_set_up(&command) else { return };
        let turn = turn(&stage, "Bash", &["--", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["result"], "WOKEN", "{turn:?}");
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn a_result_between_two_turns_is_delivered_with_the_next_message() {
    offline("claude_code::a_result_between_two_turns_is_delivered_with_the_next_message", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        let answer = Stage::document(&turn(&stage, "Bash", &["--", "LAUNCH please"]));
        let session = answer["session_id"].as_str().expect("a session");
        stage.write("gate", "");
        stage.finished_job();
        turn(&stage, "Bash", &["--resume", session, "--", "how far is it?"]);
        assert_eq!(stage.job()["follow_up"]["state"], "acknowledged", "{:#}", stage.job());
        let asked = stage.model.asked();
        let last = asked.last().expect("it was asked");
        assert!(last.conversation.contains(PRINTED) && last.conversation.contains("how far"), "{last:#?}");
    });
}

#[test]
fn an_open_idle_claude_code_is_woken_when_its_job_finishes() {
    offline("claude_code::an_open_idle_claude_code_is_woken_when_its_job_finishes", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        stage.write("gate", "");
        stage.wait_until_delivered();
        stage.assert_woken(true, "LAUNCH please");
        wait_until("no hook waits", || !stage.has_waiter());
        open.kill();
    });
}

#[test]
fn a_resumed_session_is_woken_before_the_first_prompt() {
    offline("claude_code::a_resumed_session_is_woken_before_the_first_prompt", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        let answer = Stage::document(&turn(&stage, "Bash", &["--", "LAUNCH please"]));
        let session = answer["session_id"].as_str().expect("a session");
        let mut open = Open::with(&stage, &["--resume", session]);
        wait_until("a hook waits beside it", || stage.has_waiter());
        stage.write("gate", "");
        stage.wait_until_delivered();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

#[test]
fn an_open_claude_code_is_notified_once_while_a_monitor_is_active() {
    offline("claude_code::an_open_claude_code_is_notified_once_while_a_monitor_is_active", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        // homing run starts a monitor, which exits when nothing is left to do.
        stage.write("config.toml", "agents = [\"claude-code\"]\n");
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        wait_until("a monitor is active", || stage.home.path().join("monitor.log").exists());
        stage.write("gate", "");
        stage.wait_until_delivered();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

#[test]
fn a_waiting_hook_ends_with_its_claude_code() {
    offline("claude_code::a_waiting_hook_ends_with_its_claude_code", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        open.kill_once_written("LAUNCHED");
        wait_until("the hook exits", || {
            !stage.home.processes().iter().any(|process| process.command_line.contains("hook claude-code"))
        });
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["follow_up"]["state"], "pending", "{job:#}");
        // The monitor resumes the session instead.
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn the_next_session_in_the_same_terminal_is_not_notified() {
    offline("claude_code::the_next_session_in_the_same_terminal_is_not_notified", || {
        let Some(stage) = stage_set_up(FINISHES_AT_GATE) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        let (before, _) = open.session();
        open.wait_until_written("LAUNCHED");
        open.type_in("/clear\r", || open.session().0 != before);
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["session"].as_str(), Some(before.as_str()), "{job:#}");
        wait_until("the hook exits", || !stage.has_waiter());
        assert_eq!(stage.job()["follow_up"]["state"], "pending", "{job:#}");
        // The session is not open any more: the monitor resumes it.
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

/// The settings of a user who has used it before in this project.
pub(crate) fn already_set_up(stage: &Stage) -> Value {
    let project =
        json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true, "allowedTools": []});
    json!({"hasCompletedOnboarding": true, "theme": "dark", "projects": {stage.project().to_str().expect("text"): project},
        "customApiKeyResponses": {"approved": ["sk-ant-scripted"], "rejected": []}})
}
