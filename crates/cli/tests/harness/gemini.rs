//! Gemini CLI. It does not tell its shell which session it is in; a hook tells the agent, and the script of these
//! tests knows it because the tests choose it.

use std::process::Output;

use crate::offline::offline;
use crate::stage::{OVER_BEFORE_THE_TURN, OVER_WHEN_TOLD, PRINTED, Stage};

const SESSION: &str = "3b8b1c6e-0f0e-4b53-9f2c-8f3b1c6e0f0e";

fn stage(command: &str) -> Option<Stage> {
    let command = format!("export HOMING_SESSION={SESSION} HOMING_HARNESS=gemini; {command}");
    Some(set_up(Stage::launching(&command, "gemini", "Gemini CLI")?))
}

/// Gives Gemini CLI its settings, and sets homing up in them.
pub(crate) fn set_up(mut stage: Stage) -> Stage {
    stage.set("GEMINI_API_KEY", "scripted");
    stage.set("GOOGLE_GEMINI_BASE_URL", stage.model.url());
    stage.set("GEMINI_CLI_TRUST_WORKSPACE", "true");
    // Otherwise it asks a model first which model it should ask.
    stage.set("GEMINI_MODEL", "gemini-2.5-flash");
    let settings = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": false},
        "privacy": {"usageStatisticsEnabled": false}, "general": {"enableAutoUpdate": false}}"#;
    stage.write(".gemini/settings.json", settings);
    stage.set_up("gemini");
    stage
}

pub(crate) fn turn(stage: &Stage, words: &[&str]) -> Output {
    let mut command = stage.command("gemini");
    command.args(["--output-format", "json", "--yolo"]).args(words).output().expect("it runs")
}

#[test]
fn what_is_over_before_the_turn_is_told_before_the_turn_ends() {
    offline("gemini::what_is_over_before_the_turn_is_told_before_the_turn_ends", || {
        let Some(stage) = stage(OVER_BEFORE_THE_TURN) else { return };
        let turn = turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["response"], "LAUNCHEDWOKEN", "{turn:?}");
        stage.assert_woken(false, "LAUNCH please");
        let asked = stage.model.asked();
        let told = format!("HOMING_SESSION={SESSION} HOMING_HARNESS=gemini homing run");
        assert!(asked[0].text.contains(&told), "the agent knows how to launch: {:#?}", asked[0]);
    });
}

#[test]
fn what_was_over_between_two_turns_comes_with_the_next_message() {
    offline("gemini::what_was_over_between_two_turns_comes_with_the_next_message", || {
        let Some(stage) = stage(OVER_WHEN_TOLD) else { return };
        turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        stage.write("gate", "");
        stage.finished_job();
        let next = turn(&stage, &["--resume", SESSION, "-p", "how far is it?"]);
        assert_eq!(stage.job()["follow_up"]["state"], "acknowledged", "{:#} {next:?}", stage.job());
        let asked = stage.model.asked();
        let last = asked.last().expect("it was asked");
        assert!(last.conversation.contains(PRINTED) && last.conversation.contains("how far"), "{last:#?}");
    });
}

#[test]
fn gemini_is_woken_in_the_session_that_launched_the_job() {
    offline("gemini::gemini_is_woken_in_the_session_that_launched_the_job", || {
        let Some(stage) = stage(OVER_WHEN_TOLD) else { return };
        turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        stage.write("gate", "");
        stage.finished_job();
        stage.wake();
        // What the user wrote is not in a conversation that Gemini CLI takes up again, where a hook has added to it.
        stage.assert_woken(false, "LAUNCHED");
    });
}
