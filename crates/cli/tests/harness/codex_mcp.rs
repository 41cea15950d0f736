//! Codex with the tools of `homing mcp` as the only way to launch jobs.

use std::process::Output;

use serde_json::Value;
use testkit::Rule;

use crate::codex::config;
use crate::mcp_round::{
    assert_read_and_not_delivered_again, end_job_and_await_delivery, launches_and_ends_its_turn,
    launches_and_waits, turn_that_waits,
};
use crate::offline::offline;
use crate::stage::Stage;
use crate::transcript;

fn stage(rules: Vec<Rule>) -> Option<Stage> {
    let mut stage = Stage::following(rules, "codex", "Codex")?;
    stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
    stage.write("codex/config.toml", &config(&stage.model.url()));
    stage.set_up("codex");
    Some(stage)
}

/// One turn of `codex exec` in its default sandbox.
fn turn(stage: &Stage) -> Output {
    let mut command = stage.command("codex");
    command.args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]);
    // Without this, Codex asks the user before it calls a tool that is not read-only.
    command.args(["-c", r#"mcp_servers.homing.default_tools_approval_mode="approve""#]);
    command.arg("LAUNCH please").output().expect("it runs")
}

fn events(turn: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&turn.stdout);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn has_said(turn: &Output, text: &str) -> bool {
    events(turn).iter().any(|event| event["item"]["text"] == text)
}

#[test]
fn codex_is_resumed_with_the_result_of_a_job_that_survives_its_sandbox() {
    offline("codex_mcp::codex_is_resumed_with_the_result_of_a_job_that_survives_its_sandbox", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        let turn = turn(&stage);
        assert!(has_said(&turn, "LAUNCHED"), "{turn:?} {:#?}", stage.model.asked());
        let job = stage.job();
        let events = events(&turn);
        let thread = events.iter().find_map(|event| event["thread_id"].as_str()).expect("a thread");
        assert_eq!(job["session"], thread, "{job:#}");
        assert_eq!(job["state"], "running", "neither the sandbox nor Codex has stopped it: {job:#}");
        end_job_and_await_delivery(&stage, false);
        let what = "The model launches a job over MCP in the sandbox of Codex and ends its turn. The monitor resumes the \
                    thread with the result.";
        transcript::write(&stage, "codex", "Codex", "codex", what);
    });
}

#[test]
fn a_model_that_waited_for_its_job_is_not_woken() {
    offline("codex_mcp::a_model_that_waited_for_its_job_is_not_woken", || {
        let Some(stage) = stage(launches_and_waits()) else { return };
        let turn = turn_that_waits(&stage, || turn(&stage));
        assert!(has_said(&turn, "READ"), "{turn:?} {:#?}", stage.model.asked());
        assert_read_and_not_delivered_again(&stage);
    });
}
