//! The rules that `homing setup` prints: with them, a harness that cannot ask a user calls the tools of homing, and without
//! them it does not. Claude Code is in `claude_code_setup`.

use serde_json::{Value, json};

use crate::codex;
use crate::gemini;
use crate::mcp_round::{launches_and_waits, turn_that_waits};
use crate::offline::offline;
use crate::opencode;
use crate::stage::{PRINTED, Stage};

/// The printed rule: its file, its place in it, and its text.
fn printed(stage: &Stage, harness: &str) -> (String, String, String) {
    let document = Stage::document(&stage.homing(&["setup", harness, "--json"]));
    let text = |key: &str| document["next_steps"]["permission"][key].as_str().expect("a text").to_owned();
    (text("file"), text("place"), text("rule"))
}

/// Inserts a text after the first `before` in a file.
fn insert(file: &str, before: &str, text: &str) {
    let content = std::fs::read_to_string(file).expect("it is there");
    assert!(content.contains(before), "{content}");
    let after = content.replacen(before, &format!("{before}{text}"), 1);
    std::fs::write(file, after).expect("it is written");
}

/// Whether the model has read the output of a job.
fn has_read(stage: &Stage) -> bool {
    stage.model.asked().iter().any(|asked| asked.text.contains(PRINTED))
}

#[test]
fn gemini_calls_the_tools_with_the_rule_only() {
    offline("printed_rules::gemini_calls_the_tools_with_the_rule_only", || {
        let stage = || Some(gemini::set_up(Stage::following(launches_and_waits(), "gemini", "Gemini CLI")?));
        let turn = |stage: &Stage| {
            let mut command = stage.command("gemini");
            command.args(["--output-format", "json", "-p", "LAUNCH please"]).output().expect("it runs")
        };
        let Some(without) = stage() else { return };
        turn(&without);
        assert_eq!(without.job(), Value::Null, "{:#?}", without.model.asked());
        let with = stage().expect("it is installed");
        let (file, place, rule) = printed(&with, "gemini");
        assert_eq!(place, r#"the entry "homing" of "mcpServers""#);
        insert(&file, r#""homing": {"#, &format!("{rule}, "));
        let output = turn_that_waits(&with, || turn(&with));
        assert!(has_read(&with), "{output:?} {:#?}", with.model.asked());
    });
}

#[test]
fn codex_calls_the_tools_with_the_rule_only() {
    offline("printed_rules::codex_calls_the_tools_with_the_rule_only", || {
        let stage = || {
            let mut stage = Stage::following(launches_and_waits(), "codex", "Codex")?;
            stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
            stage.write("codex/config.toml", &codex::config(&stage.model.url()));
            stage.set_up("codex");
            Some(stage)
        };
        let turn = |stage: &Stage| {
            let mut command = stage.command("codex");
            command.args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]);
            command.arg("LAUNCH please").output().expect("it runs")
        };
        let Some(without) = stage() else { return };
        turn(&without);
        assert_eq!(without.job(), Value::Null, "{:#?}", without.model.asked());
        let with = stage().expect("it is installed");
        let (file, place, rule) = printed(&with, "codex");
        assert_eq!(place, "the table [mcp_servers.homing]");
        insert(&file, "[mcp_servers.homing]\n", &format!("{rule}\n"));
        let output = turn_that_waits(&with, || turn(&with));
        assert!(has_read(&with), "{output:?} {:#?}", with.model.asked());
    });
}

#[test]
fn opencode_calls_the_tools_with_the_rule_only() {
    offline("printed_rules::opencode_calls_the_tools_with_the_rule_only", || {
        // The user wants to be asked before every tool. `opencode run` cannot ask.
        let stage = |rule: Option<&Value>| {
            let mut stage = Stage::following(launches_and_waits(), "opencode", "opencode")?;
            stage.set("npm_config_fetch_retries", "0");
            let mut config = opencode::config(&stage.model.url());
            config["permission"] = json!({"*": "ask"});
            if let Some(rule) = rule {
                config["permission"]["homing_*"] = rule["permission"]["homing_*"].clone();
            }
            stage.write(".config/opencode/opencode.json", &config.to_string());
            stage.set_up("opencode");
            Some(stage)
        };
        let turn = |stage: &Stage| {
            stage.command("opencode").args(["run", "LAUNCH please"]).output().expect("it runs")
        };
        let Some(without) = stage(None) else { return };
        turn(&without);
        assert_eq!(without.job(), Value::Null, "{:#?}", without.model.asked());
        let (_, place, rule) = printed(&without, "opencode");
        assert_eq!(place, "");
        let with = stage(Some(&serde_json::from_str(&rule).expect("JSON"))).expect("it is installed");
        let output = turn_that_waits(&with, || turn(&with));
        assert!(has_read(&with), "{output:?} {:#?}", with.model.asked());
    });
}
