//! GitHub Copilot CLI, with a model of the user's own provider.

use std::process::{Command, Output};

use serde_json::{Value, json};
use testkit::{Action, wait_until};

use crate::listening::{assert_read_once, await_listener, launches_and_listens};
use crate::offline::offline;
use crate::stage::Stage;
use crate::terminal::Terminal;

fn with_model(mut stage: Stage) -> Stage {
    let url = format!("{}/v1", stage.model.url());
    stage.set("COPILOT_PROVIDER_BASE_URL", url);
    for (name, value) in
        [("COPILOT_MODEL", "scripted"), ("COPILOT_OFFLINE", "true"), ("COPILOT_AUTO_UPDATE", "false")]
    {
        stage.set(name, value);
    }
    stage
}

fn stage() -> Option<Stage> {
    Some(with_model(Stage::new("copilot", "copilot", "Copilot CLI")?))
}

fn copilot(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = stage.command("copilot");
    command.args(["--no-auto-update", "--allow-all-tools"]).args(arguments);
    command
}

/// One turn without a terminal, and the id of its session.
fn turn(stage: &Stage, text: &str) -> (Output, String) {
    let turn = copilot(stage, &["--output-format", "json", "-p", text]).output().expect("it runs");
    let output = String::from_utf8_lossy(&turn.stdout);
    let last = output.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let session = last.and_then(|last| Some(last["sessionId"].as_str()?.to_owned()));
    let session = session.unwrap_or_else(|| panic!("no session: {turn:?}"));
    (turn, session)
}

#[test]
fn copilot_is_resumed_in_the_session_that_launched_the_job() {
    offline("copilot::copilot_is_resumed_in_the_session_that_launched_the_job", || {
        let Some(stage) = stage() else { return };
        let (turn, session) = turn(&stage, "LAUNCH please");
        let job = stage.finished_job();
        assert_eq!(job["session"].as_str(), Some(session.as_str()), "{job:#} {turn:?}");
        assert_eq!(job["harness"], "copilot", "{job:#}");
        stage.wake();
        stage.assert_woken(false, "LAUNCH please");
    });
}

#[test]
fn an_open_copilot_is_not_resumed_until_it_is_closed() {
    offline("copilot::an_open_copilot_is_not_resumed_until_it_is_closed", || {
        let Some(stage) = stage() else { return };
        let (_, session) = turn(&stage, "LAUNCH please");
        let job = stage.finished_job();
        // Otherwise it asks whether it may read the folder.
        let project = stage.project();
        let trusted = json!({"trustedFolders": [project], "trusted_folders": [project]});
        stage.write(".copilot/config.json", &trusted.to_string());
        let open = Terminal::start(copilot(&stage, &[&format!("--resume={session}")]));
        let folder = stage.home.scratch().join(".copilot/session-state").join(&session);
        // It locks the session when the user writes.
        open.type_in("hello\r", || stage.model.asked().iter().any(|asked| asked.text.ends_with("hello")));
        wait_until("it has the session open", || {
            let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
            names.any(|name| name.starts_with("inuse.") && name.ends_with(".lock"))
        });
        stage.wake();
        let follow_up = &stage.job()["follow_up"];
        assert_eq!(follow_up["state"], "pending", "{follow_up:#}");
        let reason = follow_up["last_error"].as_str().expect("a reason");
        assert!(reason.contains("the session is open in copilot, process "), "{reason}");
        // It runs in a child of its own, which a killed parent leaves behind.
        let resumed = format!("--resume={session}");
        let is_open = || stage.home.processes().iter().any(|process| process.command_line.contains(&resumed));
        open.type_in("/exit\r", || !is_open());
        let retry = stage.homing(&["retry", job["id"].as_str().expect("an id")]);
        assert!(retry.status.success(), "{retry:?}");
        wait_until("no process has it open", || {
            stage.wake();
            stage.job()["follow_up"]["state"] == "acknowledged"
        });
        stage.assert_woken(false, "LAUNCH please");
    });
}

#[test]
fn copilot_without_a_terminal_waits_for_the_listener_before_it_ends() {
    offline("copilot::copilot_without_a_terminal_waits_for_the_listener_before_it_ends", || {
        let listen = json!({"command": "homing listen", "mode": "async", "description": "listen"});
        let unexpected = Action::Say("unexpected".to_owned());
        let rules = launches_and_listens(("bash", listen), "started in background", "nothing", unexpected);
        let Some(stage) = Stage::following(rules, "copilot", "Copilot CLI") else { return };
        let stage = with_model(stage);
        stage.write("config.toml", "");
        std::thread::scope(|scope| {
            let turn = scope.spawn(|| turn(&stage, "LAUNCH please"));
            await_listener(&stage);
            stage.write("gate", "");
            turn.join().expect("it does not panic")
        });
        assert_eq!(
            stage.job()["follow_up"]["state"],
            "acknowledged",
            "{:#} {:#?}",
            stage.job(),
            stage.model.asked()
        );
        assert_read_once(&stage);
    });
}
