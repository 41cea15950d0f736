//! Claude Code.

use std::process::Output;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::claude_terminal::Open;
use crate::offline::offline;
use crate::stage::{OVER_BEFORE_THE_TURN, OVER_WHEN_TOLD, PRINTED, Stage};

pub(crate) const MODEL: [&str; 2] = ["--model", "claude-sonnet-4-5"];

fn stage() -> Option<Stage> {
    Some(with_model(Stage::new("claude-code", "claude", "Claude Code")?))
}

/// A stage on which only what `homing setup` has written wakes anybody.
fn stage_set_up(command: &str) -> Option<Stage> {
    Some(set_up(Stage::launching(command, "claude", "Claude Code")?))
}

/// Gives Claude Code a folder of its own for its settings, and sets homing up in it.
pub(crate) fn set_up(stage: Stage) -> Stage {
    let mut stage = with_model(stage);
    let folder = stage.home.scratch().join("claude");
    stage.set("CLAUDE_CONFIG_DIR", folder);
    stage.write("claude/.claude.json", &already_set_up(&stage).to_string());
    stage.set_up("claude-code");
    stage
}

/// Lets Claude Code ask that model, and nobody else.
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

/// One turn without a terminal, in which nothing but that tool is allowed.
pub(crate) fn turn(stage: &Stage, tool: &str, words: &[&str]) -> Output {
    let mut command = stage.command("claude");
    command.args(["-p", "--output-format", "json", "--allowedTools", tool]).args(MODEL).args(words);
    command.output().expect("it runs")
}

#[test]
fn claude_code_is_woken_in_the_session_that_launched_the_job() {
    offline("claude_code::claude_code_is_woken_in_the_session_that_launched_the_job", || {
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
fn an_open_claude_code_is_left_alone_until_it_is_gone() {
    offline("claude_code::an_open_claude_code_is_left_alone_until_it_is_gone", || {
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

        // It leaves its file behind.
        open.kill_once_written("LAUNCHED");
        assert_eq!(open.session(), (session, pid));
        let retry = stage.homing(&["retry", job["id"].as_str().expect("an id")]);
        assert!(retry.status.success(), "{retry:?}");
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn what_is_over_before_the_turn_is_told_before_the_turn_ends() {
    offline("claude_code::what_is_over_before_the_turn_is_told_before_the_turn_ends", || {
        // As long as a text can be.
        let command = OVER_BEFORE_THE_TURN.replace("'echo", "'seq 20000; echo");
        let Some(stage) = stage_set_up(&command) else { return };
        let turn = turn(&stage, "Bash", &["--", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["result"], "WOKEN", "{turn:?}");
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn what_was_over_between_two_turns_comes_with_the_next_message() {
    offline("claude_code::what_was_over_between_two_turns_comes_with_the_next_message", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
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
fn an_open_claude_code_that_is_idle_is_woken_when_its_job_is_over() {
    offline("claude_code::an_open_claude_code_that_is_idle_is_woken_when_its_job_is_over", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        stage.write("gate", "");
        stage.wait_until_told();
        stage.assert_woken(true, "LAUNCH please");
        wait_until("nobody waits any more", || !stage.has_waiter());
        open.kill();
    });
}

#[test]
fn a_session_that_is_taken_up_again_is_woken_without_a_word() {
    offline("claude_code::a_session_that_is_taken_up_again_is_woken_without_a_word", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
        let answer = Stage::document(&turn(&stage, "Bash", &["--", "LAUNCH please"]));
        let session = answer["session_id"].as_str().expect("a session");
        let mut open = Open::with(&stage, &["--resume", session]);
        wait_until("a hook waits beside it", || stage.has_waiter());
        stage.write("gate", "");
        stage.wait_until_told();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

#[test]
fn an_open_claude_code_is_told_once_although_a_monitor_is_active() {
    offline("claude_code::an_open_claude_code_is_told_once_although_a_monitor_is_active", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
        // homing run starts a monitor, which ends itself when nothing is left to do.
        stage.write("config.toml", "agents = [\"claude-code\"]\n");
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        wait_until("a monitor is active", || stage.home.path().join("monitor.log").exists());
        stage.write("gate", "");
        stage.wait_until_told();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

#[test]
fn a_hook_goes_with_the_claude_code_that_it_waits_beside() {
    offline("claude_code::a_hook_goes_with_the_claude_code_that_it_waits_beside", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        open.kill_once_written("LAUNCHED");
        wait_until("the hook is gone", || {
            !stage.home.processes().iter().any(|process| process.command_line.contains("hook claude-code"))
        });
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["follow_up"]["state"], "pending", "{job:#}");
        // The monitor tells it in its place.
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
    });
}

#[test]
fn the_session_that_comes_after_it_in_the_same_terminal_is_not_told() {
    offline("claude_code::the_session_that_comes_after_it_in_the_same_terminal_is_not_told", || {
        let Some(stage) = stage_set_up(OVER_WHEN_TOLD) else { return };
        let mut open = Open::launching(&stage);
        wait_until("a hook waits beside it", || stage.has_waiter());
        let (before, _) = open.session();
        open.wait_until_written("LAUNCHED");
        open.type_in("/clear\r", || open.session().0 != before);
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["session"].as_str(), Some(before.as_str()), "{job:#}");
        wait_until("the hook is gone", || !stage.has_waiter());
        assert_eq!(stage.job()["follow_up"]["state"], "pending", "{job:#}");
        // Nobody has the session open any more: the monitor tells it.
        stage.wake();
        stage.assert_woken(true, "LAUNCH please");
        open.kill();
    });
}

/// The settings of somebody who has used it before, in this project.
pub(crate) fn already_set_up(stage: &Stage) -> Value {
    let project =
        json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true, "allowedTools": []});
    json!({"hasCompletedOnboarding": true, "theme": "dark", "projects": {stage.project().to_str().expect("text"): project},
        "customApiKeyResponses": {"approved": ["sk-ant-scripted"], "rejected": []}})
}
