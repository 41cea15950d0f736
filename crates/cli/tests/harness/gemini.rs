//! Gemini CLI. It does not export the session id to its shell. A hook gives the id to the agent; these tests choose
//! it.

use std::process::Output;

use crate::mcp_round::launches_and_ends_its_turn;
use crate::offline::offline;
use crate::stage::{FINISHES_AT_GATE, FINISHES_DURING_THE_TURN, PRINTED, Stage};

pub(crate) const SESSION: &str = "3b8b1c6e-0f0e-4b53-9f2c-8f3b1c6e0f0e";

fn stage(command: &str) -> Option<Stage> {
    let command = format!("export HOMING_SESSION={SESSION} HOMING_HARNESS=gemini; {command}");
    Some(set_up(Stage::launching(&command, "gemini", "Gemini CLI")?))
}

/// Writes the settings of Gemini CLI and sets up homing in them.
pub(crate) fn set_up(mut stage: Stage) -> Stage {
    stage.set("GEMINI_API_KEY", "scripted");
    stage.set("GOOGLE_GEMINI_BASE_URL", stage.model.url());
    stage.set("GEMINI_CLI_TRUST_WORKSPACE", "true");
    // Otherwise it asks a model which model to use.
    stage.set("GEMINI_MODEL", "gemini-2.5-flash");
    let settings = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": false},
        "privacy": {"usageStatisticsEnabled": false}, "general": {"enableAutoUpdate": false}}"#;
    stage.write(".gemini/settings.json", settings);
    stage.set_up("gemini");
    stage
}

pub(crate) fn turn(stage: &Stage, arguments: &[&str]) -> Output {
    let mut command = stage.command("gemini");
    command.args(["--output-format", "json", "--yolo"]).args(arguments).output().expect("it runs")
}

#[test]
fn a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends() {
    offline("gemini::a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends", || {
        let Some(stage) = stage(FINISHES_DURING_THE_TURN) else { return };
        let turn = turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["response"], "LAUNCHEDWOKEN", "{turn:?}");
        stage.assert_woken(false, "LAUNCH please");
        let asked = stage.model.asked();
        let hint = format!("HOMING_SESSION={SESSION} HOMING_HARNESS=gemini homing run");
        assert!(asked[0].text.contains(&hint), "the agent knows how to launch: {:#?}", asked[0]);
    });
}

#[test]
fn a_result_between_two_turns_is_delivered_with_the_next_message() {
    offline("gemini::a_result_between_two_turns_is_delivered_with_the_next_message", || {
        let Some(stage) = stage(FINISHES_AT_GATE) else { return };
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
fn a_job_launched_over_mcp_belongs_to_the_session_that_the_hook_names() {
    offline("gemini::a_job_launched_over_mcp_belongs_to_the_session_that_the_hook_names", || {
        let Some(stage) = Stage::following(launches_and_ends_its_turn(), "gemini", "Gemini CLI") else {
            return;
        };
        let stage = set_up(stage);
        let turn = turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["response"], "LAUNCHED", "{turn:?} {:#?}", stage.model.asked());
        let job = stage.job();
        assert_eq!((&job["session"], &job["harness"]), (&SESSION.into(), &"gemini".into()), "{job:#}");
        stage.write("gate", "");
        stage.finished_job();
        // Its monitor has only the environment that Gemini CLI gives to servers, so it is not needed here.
        let acknowledged = stage.homing(&["ack", job["id"].as_str().expect("an id")]);
        assert!(acknowledged.status.success(), "{acknowledged:?}");
    });
}

#[test]
fn gemini_is_resumed_in_the_session_that_launched_the_job() {
    offline("gemini::gemini_is_resumed_in_the_session_that_launched_the_job", || {
        let Some(stage) = stage(FINISHES_AT_GATE) else { return };
        turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        stage.write("gate", "");
        stage.finished_job();
        stage.wake();
        // A conversation that Gemini CLI resumes lacks a prompt that a hook has added to.
        stage.assert_woken(false, "LAUNCHED");
    });
}
