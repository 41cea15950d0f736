//! Claude Code with the tools of `homing mcp` as the only way to launch jobs.

use serde_json::{Value, json};
use testkit::{Rule, wait_until};

use crate::claude_code::{already_set_up, set_up, turn, with_model};
use crate::claude_terminal::Open;
use crate::mcp_round::{
    assert_read_and_not_delivered_again, end_job_and_await_delivery, launches_and_ends_its_turn,
    launches_and_waits, turn_that_waits,
};
use crate::offline::offline;
use crate::stage::Stage;
use crate::transcript::{self, TOOL_SEARCH};

/// The names of the server and of one tool in Claude Code.
const TOOLS: &str = "mcp__homing";
const TOOL: &str = "mcp__homing__run_command";

/// A stage with tool search on, as users of the service of Anthropic have it. By itself, Claude Code turns it off for
/// another server of models.
fn stage(rules: Vec<Rule>) -> Option<Stage> {
    let mut stage = set_up(Stage::following(rules, "claude", "Claude Code")?);
    stage.set("ENABLE_TOOL_SEARCH", "true");
    // With tool search on, Claude Code does not wait for its servers before the first turn.
    stage.set("MCP_CONNECTION_NONBLOCKING", "false");
    Some(stage)
}

/// Makes Claude Code defer the tools of the server: removes what asks to load them always, which not every version and
/// not every user respects.
fn defer_tools(stage: &Stage) {
    let file = stage.home.scratch().join("claude/.claude.json");
    let mut settings: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("settings")).expect("JSON");
    let command = r#"homing mcp | sed -u 's|,"_meta":{"anthropic/alwaysLoad":true}||g'"#;
    let server = settings["mcpServers"]["homing"].as_object_mut().expect("setup has written it");
    server.remove("alwaysLoad").expect("setup has written it");
    server["command"] = "sh".into();
    server["args"] = json!(["-c", command]);
    std::fs::write(&file, settings.to_string()).expect("the file is written");
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
        // The tools ask to be loaded always, so the model sees them without a search.
        let first = &stage.model.asked()[0];
        assert!(first.tools.iter().any(|name| name == TOOL), "{first:#?}");
        end_job_and_await_delivery(&stage, true);
        let what = "The model launches a job over MCP and ends its turn. The monitor resumes the session with the result.";
        transcript::write(&stage, "claude-code", "Claude Code", "claude", what);
    });
}

#[test]
fn a_model_that_must_search_for_the_tools_finds_and_uses_them() {
    offline("claude_code_mcp::a_model_that_must_search_for_the_tools_finds_and_uses_them", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        defer_tools(&stage);
        let turn = turn(&stage, TOOLS, &["--", "LAUNCH please"]);
        let asked = stage.model.asked();
        assert_eq!(Stage::document(&turn)["result"], "LAUNCHED", "{turn:?} {asked:#?}");
        // Until it searches, the model sees the names of the tools and the instructions of the server.
        let first = &asked[0];
        let has = |name: &str| first.tools.iter().any(|tool| tool == name);
        assert!(has(TOOL_SEARCH) && !has(TOOL), "{:?}", first.tools);
        assert!(first.contains("Use run_command for anything that may take longer"), "{first:#?}");
        assert!(asked.iter().any(|asked| asked.conversation.contains(TOOL_SEARCH)), "{asked:#?}");
        end_job_and_await_delivery(&stage, true);
        let what = "The tools of the server are deferred: the model searches for them, launches a job and ends its turn. \
                    The monitor resumes the session with the result.";
        transcript::write(&stage, "claude-code-tool-search", "Claude Code", "claude", what);
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
        let mut open = open_and_launch(&stage, "You will be notified only after this session is closed");
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
