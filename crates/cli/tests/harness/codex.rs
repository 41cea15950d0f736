//! Codex.

use serde_json::Value;

use crate::offline::offline;
use crate::stage::{FINISHES_AT_GATE, FINISHES_DURING_THE_TURN, PRINTED, Stage};

#[test]
fn codex_is_resumed_in_the_thread_that_launched_the_job() {
    offline("codex::codex_is_resumed_in_the_thread_that_launched_the_job", || {
        let Some(mut stage) = Stage::new("codex", "codex", "Codex") else { return };
        stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
        stage.write("codex/config.toml", &config(&stage.model.url()));
        // In the sandbox of Codex, a job would end with its tool call: every call has its own process ids.
        let turn = stage
            .command("codex")
            .args(["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"])
            .arg("LAUNCH please")
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&turn.stdout);
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let thread = events.iter().find_map(|event| event["thread_id"].as_str()).expect("a thread");
        assert!(events.iter().any(|event| event["item"]["text"] == "LAUNCHED"), "{turn:?}");
        let job = stage.finished_job();
        assert_eq!(job["session"], thread, "{job:#}");
        stage.wake();
        stage.assert_woken(false, "LAUNCH please");
    });
}

#[test]
fn a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends() {
    offline("codex::a_result_that_is_ready_during_the_turn_is_delivered_before_the_turn_ends", || {
        // Longer than what Codex shows of the output of a hook: it keeps the rest in a file.
        let command = FINISHES_DURING_THE_TURN.replace("'echo", "'seq 20000; echo");
        let Some(mut stage) = Stage::launching(&command, "codex", "Codex") else { return };
        stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
        stage.write("codex/config.toml", &config(&stage.model.url()));
        stage.set_up("codex");
        // A user trusts the hook with /hooks. Codex skips untrusted hooks.
        let run = |flags: &[&str]| {
            let output = stage
                .command("codex")
                .args([
                    "exec",
                    "--json",
                    "--skip-git-repo-check",
                    "--dangerously-bypass-approvals-and-sandbox",
                ])
                .args(flags)
                .arg("LAUNCH please")
                .output()
                .expect("it runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let events = run(&["--dangerously-bypass-hook-trust"]);
        assert!(events.contains("\"text\":\"WOKEN\""), "{events}");
        stage.assert_woken(false, "LAUNCH please");
        let events = run(&[]);
        assert!(!events.contains("\"text\":\"WOKEN\""), "an untrusted hook does not run: {events}");
    });
}

#[test]
fn a_result_between_two_turns_is_delivered_with_the_next_message() {
    offline("codex::a_result_between_two_turns_is_delivered_with_the_next_message", || {
        let Some(mut stage) = Stage::launching(FINISHES_AT_GATE, "codex", "Codex") else { return };
        stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
        stage.write("codex/config.toml", &config(&stage.model.url()));
        stage.set_up("codex");
        let run = |words: &[&str]| {
            let mut command = stage.command("codex");
            command.args([
                "exec",
                "--json",
                "--skip-git-repo-check",
                "--dangerously-bypass-approvals-and-sandbox",
            ]);
            command.arg("--dangerously-bypass-hook-trust").args(words).output().expect("it runs")
        };
        let turn = run(&["LAUNCH please"]);
        let text = String::from_utf8_lossy(&turn.stdout);
        let mut events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let thread =
            events.find_map(|event| Some(event["thread_id"].as_str()?.to_owned())).expect("a thread");
        stage.write("gate", "");
        stage.finished_job();
        run(&["resume", &thread, "how far is it?"]);
        assert_eq!(stage.job()["follow_up"]["state"], "acknowledged", "{:#}", stage.job());
        let asked = stage.model.asked();
        let last = asked.last().expect("it was asked");
        assert!(last.conversation.contains(PRINTED) && last.conversation.contains("how far"), "{last:#?}");
    });
}

#[test]
fn a_launch_from_the_sandbox_is_refused_and_points_to_the_tools() {
    offline("codex::a_launch_from_the_sandbox_is_refused_and_points_to_the_tools", || {
        // The sandbox ends both jobs with the tool call. A job that is waited for would do, but the home is read-only.
        let commands = "homing run true; homing run --wait true";
        let Some(mut stage) = Stage::launching(commands, "codex", "Codex") else { return };
        stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
        stage.write("codex/config.toml", &config(&stage.model.url()));
        let mut command = stage.command("codex");
        command.args(["exec", "--json", "--skip-git-repo-check", "LAUNCH please"]);
        let turn = command.output().expect("it runs");
        let asked = stage.model.asked();
        let seen = &asked.last().expect("it was asked").conversation;
        for text in [
            "this shell runs in a sandbox of codex that ends every process when the tool call ends",
            "Read-only file system",
            "if a sandbox of the agent harness protects it, call the MCP tool run_command, which runs outside the sandbox \
             (homing setup codex --write adds it)",
        ] {
            assert!(seen.contains(text), "{text}: {seen} {turn:?}");
        }
        assert!(!seen.contains("HOMING_HOME"), "not another home: {seen}");
        assert_eq!(stage.homing(&["list", "--json"]).stdout, b"[]\n");
    });
}

/// The configuration for the scripted model.
pub(crate) fn config(url: &str) -> String {
    format!(
        r#"
        model = "gpt-5"
        model_provider = "scripted"
        [model_providers.scripted]
        name = "scripted"
        base_url = "{url}/v1"
        wire_api = "responses"
        [analytics]
        enabled = false
        [feedback]
        enabled = false
        "#
    )
}
