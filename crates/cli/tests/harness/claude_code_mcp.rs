//! Claude Code with the tools of `homing mcp` as the only way to launch jobs.

use testkit::{Rule, wait_until};

use crate::claude_code::{already_set_up, set_up, turn, with_model};
use crate::claude_terminal::Open;
use crate::mcp_round::{
    assert_read_and_not_delivered_again, end_job_and_await_delivery, launches_and_ends_its_turn,
    launches_and_waits, turn_that_waits,
};
use crate::offline::offline;
use crate::stage::Stage;

/// The names of the server and of one tool in Claude Code.
const TOOLS: &str = "mcp__homing";
const TOOL: &str = "mcp__homing__run_command";

fn stage(rules: Vec<Rule>) -> Option<Stage> {
    Some(set_up(Stage::following(rules, "claude", "Claude Code")?))
}

#[test]
fn claude_code_is_woken_with_the_result_of_a_job_launched_over_mcp() {
    offline("claude_code_mcp::claude_code_is_woken_with_the_result_of_a_job_launched_over_mcp", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        let turn = turn(&stage, TOOLS, &["--", "LAUNCH please"]);
        let answer = Stage::document(&turn);
        assert_eq!(answer["result"], "LAUNCHED", "{turn:?} {:#?}", stage.model.asked());
        let job = stage.job();
        assert_eq!(job["session"], answer["session_id"], "{job:#}");
        end_job_and_await_delivery(&stage, true);
    });
}

#[test]
fn a_model_that_waited_for_its_job_is_not_woken() {
    offline("claude_code_mcp::a_model_that_waited_for_its_job_is_not_woken", || {
        let Some(stage) = stage(launches_and_waits()) else { return };
        let turn = turn_that_waits(&stage, || turn(&stage, TOOLS, &["--", "LAUNCH please"]));
        assert_eq!(Stage::document(&turn)["result"], "READ", "{turn:?} {:#?}", stage.model.asked());
        assert_read_and_not_delivered_again(&stage);
    });
}

/// Opens Claude Code in a terminal and lets its model launch a job. Returns when the answer contains `advice`.
fn open_and_launch(stage: &Stage, advice: &str) -> Open {
    let open = Open::with(stage, &["--allowedTools", TOOLS]);
    open.session();
    // It starts without its MCP servers and gets their tools when they have answered.
    let has_tools = || stage.model.asked().iter().any(|asked| asked.tools.iter().any(|name| name == TOOL));
    open.type_in("HELLO there\r", has_tools);
    let asked = |text: &str| stage.model.asked().iter().any(|asked| asked.text.contains(text));
    open.type_in("LAUNCH please\r", || asked("LAUNCH"));
    wait_until("the model reads the advice", || asked(advice));
    open
}

#[test]
fn an_open_session_is_woken_by_the_hook_that_homing_setup_writes() {
    offline("claude_code_mcp::an_open_session_is_woken_by_the_hook_that_homing_setup_writes", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        let mut open = open_and_launch(&stage, "You will be notified here with the result.");
        wait_until("a hook waits beside it", || stage.has_waiter());
        end_job_and_await_delivery(&stage, true);
        open.kill();
    });
}

#[test]
fn an_open_session_with_the_server_alone_is_resumed_after_it_is_closed() {
    offline("claude_code_mcp::an_open_session_with_the_server_alone_is_resumed_after_it_is_closed", || {
        let Some(stage) = Stage::following(launches_and_ends_its_turn(), "claude", "Claude Code") else {
            return;
        };
        let mut stage = with_model(stage);
        let folder = stage.home.scratch().join("claude");
        stage.set("CLAUDE_CONFIG_DIR", folder);
        stage.write("claude/.claude.json", &already_set_up(&stage).to_string());
        // Without a configuration, a user who added the server wants to be notified.
        stage.write("config.toml", "");
        let added = stage.command("claude").args(["mcp", "add", "homing", "--", "homing", "mcp"]).output();
        assert!(added.as_ref().is_ok_and(|added| added.status.success()), "{added:?}");
        let mut open = open_and_launch(&stage, "at the latest after this session is closed");
        stage.write("gate", "");
        let job = stage.finished_job();
        wait_until("the monitor has found it open", || {
            let error = &stage.job()["follow_up"]["last_error"];
            error.as_str().is_some_and(|error| error.contains("open in claude-code"))
        });
        open.kill_once_written("LAUNCHED");
        // The monitor would retry later by itself.
        let retry = stage.homing(&["retry", job["id"].as_str().expect("an id")]);
        assert!(retry.status.success(), "{retry:?}");
        stage.wait_until_delivered();
        stage.assert_woken(true, "LAUNCH please");
    });
}
