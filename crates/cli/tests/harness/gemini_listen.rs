//! Gemini CLI with `homing listen` as its own background command. It tells the model about the end of such a command only
//! with two settings.

use serde_json::json;
use testkit::{Action, wait_until};

use crate::gemini::{SESSION, set_up, turn};
use crate::listening::{await_listener, end_job_and_await_acknowledgement, launches_and_listens};
use crate::offline::offline;
use crate::stage::Stage;
use crate::terminal::Terminal;

fn stage() -> Option<Stage> {
    let command = format!("HOMING_SESSION={SESSION} HOMING_HARNESS=gemini homing listen");
    let listen = json!({"command": command, "is_background": true, "description": "listen"});
    let rules = launches_and_listens(
        ("run_shell_command", listen),
        "moved to background",
        // The message has the output, or only the file that it was saved to.
        "Background command completed",
        Action::Shell("cat ~/.gemini/tmp/background-processes/*.log".to_owned()),
    );
    let mut stage = set_up(Stage::following(rules, "gemini", "Gemini CLI")?);
    stage.set("HOMING_SESSION", SESSION);
    stage.set("HOMING_HARNESS", "gemini");
    stage.write("config.toml", "");
    let settings = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": false},
        "privacy": {"usageStatisticsEnabled": false}, "general": {"enableAutoUpdate": false},
        "tools": {"shell": {"backgroundCompletionBehavior": "inject"}}, "experimental": {"modelSteering": true}}"#;
    stage.write(".gemini/settings.json", settings);
    Some(stage)
}

#[test]
fn the_end_of_the_listener_wakes_an_open_gemini() {
    offline("gemini_listen::the_end_of_the_listener_wakes_an_open_gemini", || {
        let Some(stage) = stage() else { return };
        let mut command = stage.command("gemini");
        command.args(["--yolo", "--session-id", SESSION]);
        let terminal = Terminal::start(command);
        terminal.type_in("LAUNCH please\r", || {
            stage.model.asked().iter().any(|asked| asked.text.contains("LAUNCH"))
        });
        await_listener(&stage);
        // An end in the middle of a turn can be lost.
        wait_until("the turn ends", || {
            let screen = terminal.screen();
            let said = screen.rfind("LISTENING");
            said.is_some_and(|said| screen.rfind("Ready (").is_some_and(|ready| ready > said))
        });
        end_job_and_await_acknowledgement(&stage);
        // It runs in a child of its own, which a killed parent leaves behind.
        let is_open = || stage.home.processes().iter().any(|process| process.command_line.contains("--yolo"));
        terminal.type_in("/quit\r", || !is_open());
    });
}

#[test]
fn gemini_without_a_terminal_ends_without_the_listener() {
    offline("gemini_listen::gemini_without_a_terminal_ends_without_the_listener", || {
        let Some(stage) = stage() else { return };
        let turn = turn(&stage, &["--session-id", SESSION, "-p", "LAUNCH please"]);
        assert_eq!(Stage::document(&turn)["response"], "LISTENING", "{turn:?} {:#?}", stage.model.asked());
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["follow_up"]["state"], "pending", "{job:#}");
    });
}
