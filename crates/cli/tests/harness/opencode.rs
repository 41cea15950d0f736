//! opencode. It does not tell its shell which session it is in, so the job names the session.

use serde_json::{Value, json};

use crate::offline::offline;
use crate::stage::Stage;

#[test]
fn opencode_is_woken_in_the_session_that_a_job_names() {
    offline("opencode::opencode_is_woken_in_the_session_that_a_job_names", || {
        let Some(stage) = Stage::new("opencode", "opencode", "opencode") else { return };
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        let turn = stage.command("opencode").args(["run", "--format", "json", "HELLO there"]).output();
        let turn = turn.expect("it runs");
        let text = String::from_utf8_lossy(&turn.stdout);
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let session = events.filter_map(|event| Some(event["sessionID"].as_str()?.to_owned())).next();
        let session = session.unwrap_or_else(|| panic!("no session: {turn:?}"));
        // From elsewhere: it has to be woken where it began, or its turn is never heard of.
        let script = "echo greetings-$((40 + 2))";
        let launched = stage.homing(&["run", "--session", &session, "--cwd", "/", script]);
        assert!(launched.status.success(), "{launched:?}");
        stage.finished_job();
        stage.wake();
        stage.assert_woken(false, "HELLO there");
    });
}

fn config(url: &str) -> Value {
    let provider = json!({"npm": "@ai-sdk/openai-compatible", "name": "scripted",
        "options": {"baseURL": format!("{url}/v1"), "apiKey": "none"}, "models": {"scripted": {"name": "scripted"}}});
    json!({"autoupdate": false, "share": "disabled", "model": "scripted/scripted", "small_model": "scripted/scripted",
        "provider": {"scripted": provider}})
}
