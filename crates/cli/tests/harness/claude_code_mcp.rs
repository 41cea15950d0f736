//! Claude Code with the tools of `homing mcp`, and nothing else that launches jobs.

use std::process::Output;

use testkit::{Rule, wait_until};

use crate::claude_code::{MODEL, set_up};
use crate::mcp_round::{
    assert_read_and_not_woken, end_job_and_see_it_told, has_launched, launches_and_ends_its_turn,
    launches_and_waits,
};
use crate::offline::offline;
use crate::stage::Stage;

fn stage(rules: Vec<Rule>) -> Option<Stage> {
    Some(set_up(Stage::following(rules, "claude", "Claude Code")?))
}

/// One turn of `claude -p`, in which nothing but the tools of homing is allowed.
fn turn(stage: &Stage) -> Output {
    let mut command = stage.command("claude");
    command.args(["-p", "--output-format", "json", "--allowedTools", "mcp__homing"]).args(MODEL);
    command.args(["--", "LAUNCH please"]).output().expect("it runs")
}

#[test]
fn claude_code_is_woken_with_the_result_of_a_job_that_its_model_launched_over_mcp() {
    offline(
        "claude_code_mcp::claude_code_is_woken_with_the_result_of_a_job_that_its_model_launched_over_mcp",
        || {
            let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
            let turn = turn(&stage);
            let answer = Stage::document(&turn);
            assert_eq!(answer["result"], "LAUNCHED", "{turn:?} {:#?}", stage.model.asked());
            let job = stage.job();
            assert_eq!(job["session"], answer["session_id"], "{job:#}");
            end_job_and_see_it_told(&stage, true);
        },
    );
}

#[test]
fn a_model_that_waited_for_its_job_is_not_woken() {
    offline("claude_code_mcp::a_model_that_waited_for_its_job_is_not_woken", || {
        let Some(stage) = stage(launches_and_waits()) else { return };
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| turn(&stage));
            wait_until("the job runs", || has_launched(&stage));
            stage.write("gate", "");
            let turn = turn.join().expect("it does not panic");
            assert_eq!(Stage::document(&turn)["result"], "READ", "{turn:?} {:#?}", stage.model.asked());
        });
        assert_read_and_not_woken(&stage);
    });
}
