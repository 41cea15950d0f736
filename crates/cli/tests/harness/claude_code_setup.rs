//! Claude Code with what `homing setup` writes and prints: the tools without a search, the rule that allows them, and the
//! plugin in `plugins/claude-code` in place of the files.

use std::path::{Path, PathBuf};

use serde_json::json;
use testkit::{Rule, wait_until};

use crate::claude_code::{MODEL, already_set_up, set_up, with_model};
use crate::claude_terminal::Open;
use crate::mcp_round::{end_job_and_await_delivery, launches_and_ends_its_turn};
use crate::offline::offline;
use crate::stage::Stage;

fn stage(rules: Vec<Rule>) -> Option<Stage> {
    let mut stage = Stage::following(rules, "claude", "Claude Code")?;
    // As with the real API. With another one, Claude Code gives the model all tools.
    stage.set("ENABLE_TOOL_SEARCH", "true");
    Some(stage)
}

/// Adds a rule to the settings of Claude Code, as the user does.
fn add_rule(stage: &Stage, rule: &serde_json::Value) {
    let path = stage.home.scratch().join("claude/settings.json");
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| "{}".to_owned());
    let mut settings: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let rule = rule.as_str().expect("a rule");
    let rule: serde_json::Value = serde_json::from_str(rule).expect("JSON");
    settings["permissions"] = rule["permissions"].clone();
    stage.write("claude/settings.json", &settings.to_string());
}

/// The rule that `homing setup` prints.
fn printed_rule(stage: &Stage) -> serde_json::Value {
    Stage::document(&stage.homing(&["setup", "claude-code", "--json"]))["next_steps"]["permission"]["rule"]
        .clone()
}

#[test]
fn the_tools_need_neither_a_search_nor_a_question() {
    offline("claude_code_setup::the_tools_need_neither_a_search_nor_a_question", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        let stage = set_up(stage);
        add_rule(&stage, &printed_rule(&stage));
        let mut turn = stage.command("claude");
        turn.args(["-p", "--output-format", "json"]).args(MODEL).args(["--", "LAUNCH please"]);
        let turn = turn.output().expect("it runs");
        let asked = stage.model.asked();
        assert_eq!(Stage::document(&turn)["result"], "LAUNCHED", "{turn:?} {asked:#?}");
        let tools = &asked.iter().find(|asked| asked.text.contains("LAUNCH")).expect("it was asked").tools;
        assert!(tools.iter().any(|name| name == "mcp__homing__run_command"), "{tools:#?}");
        assert!(tools.iter().any(|name| name == "ToolSearch"), "tools are deferred here: {tools:#?}");
        end_job_and_await_delivery(&stage, true);
    });
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there")
}

#[test]
fn the_plugin_and_its_marketplace_are_valid() {
    offline("claude_code_setup::the_plugin_and_its_marketplace_are_valid", || {
        let Some(stage) = stage(Vec::new()) else { return };
        for folder in [repository(), repository().join("plugins/claude-code")] {
            let mut validate = stage.command("claude");
            validate.args(["plugin", "validate", "--strict"]).arg(&folder);
            let output = validate.output().expect("it runs");
            assert!(output.status.success(), "{}: {output:?}", folder.display());
        }
    });
}

#[test]
fn an_open_session_is_woken_by_the_hooks_of_the_plugin() {
    offline("claude_code_setup::an_open_session_is_woken_by_the_hooks_of_the_plugin", || {
        let Some(stage) = stage(launches_and_ends_its_turn()) else { return };
        let mut stage = with_model(stage);
        let folder = stage.home.scratch().join("claude");
        stage.set("CLAUDE_CONFIG_DIR", folder);
        stage.write("claude/.claude.json", &already_set_up(&stage).to_string());
        stage.write("config.toml", "agents = [\"claude-code\"]\n");
        add_rule(&stage, &json!(r#"{"permissions": {"allow": ["mcp__plugin_homing_homing"]}}"#));
        let plugin = repository().join("plugins/claude-code");
        let mut open = Open::with(&stage, &["--plugin-dir", plugin.to_str().expect("text")]);
        open.session();
        let tool = "mcp__plugin_homing_homing__run_command";
        let has_tools =
            || stage.model.asked().iter().any(|asked| asked.tools.iter().any(|name| name == tool));
        open.type_in("HELLO there\r", has_tools);
        let asked = |text: &str| stage.model.asked().iter().any(|asked| asked.text.contains(text));
        open.type_in("LAUNCH please\r", || asked("LAUNCH"));
        // The server knows that the hooks of the plugin notify the session.
        wait_until("the model reads the advice", || asked("You will be notified here with the result."));
        wait_until("a hook waits beside it", || stage.has_waiter());
        end_job_and_await_delivery(&stage, true);
        open.kill();
    });
}
