//! Claude Code with `homing listen` as its own background command: without hooks, and without a route.

use serde_json::json;
use testkit::{Action, wait_until};

use crate::claude_code::{already_set_up, turn, with_model};
use crate::claude_terminal::Open;
use crate::listening::{
    assert_read_once, await_listener, end_job_and_await_acknowledgement, is_listening, launches_and_listens,
};
use crate::offline::offline;
use crate::stage::Stage;

/// Prints the output of the first background command.
const READ: &str = "cat \"$(ls -t $(find ~/tmp -name '*.output') | tail -1)\"";

fn stage() -> Option<Stage> {
    let listen = json!({"command": "homing listen", "run_in_background": true, "description": "listen"});
    let read = Action::Shell(READ.to_owned());
    let rules = launches_and_listens(("Bash", listen), "running in background", "<task-notification>", read);
    let stage = with_model(Stage::following(rules, "claude", "Claude Code")?);
    stage.write("config.toml", "");
    stage.write(".claude.json", &already_set_up(&stage).to_string());
    Some(stage)
}

#[test]
fn the_end_of_the_listener_wakes_an_open_claude_code() {
    offline("claude_listen::the_end_of_the_listener_wakes_an_open_claude_code", || {
        let Some(stage) = stage() else { return };
        let mut open = Open::launching(&stage);
        await_listener(&stage);
        open.wait_until_written("LISTENING");
        end_job_and_await_acknowledgement(&stage);
        open.kill();
    });
}

#[test]
fn claude_code_without_a_terminal_waits_for_the_listener_before_it_ends() {
    offline("claude_listen::claude_code_without_a_terminal_waits_for_the_listener_before_it_ends", || {
        let Some(stage) = stage() else { return };
        let turn = std::thread::scope(|scope| {
            let turn = scope.spawn(|| turn(&stage, "Bash", &["--", "LAUNCH please"]));
            await_listener(&stage);
            stage.write("gate", "");
            turn.join().expect("it does not panic")
        });
        assert_eq!(Stage::document(&turn)["result"], "READ", "{turn:?} {:#?}", stage.model.asked());
        assert_eq!(stage.job()["follow_up"]["state"], "acknowledged", "{:#}", stage.job());
        assert_read_once(&stage);
    });
}

#[test]
fn a_listener_ends_with_its_claude_code_and_the_result_stays_due() {
    offline("claude_listen::a_listener_ends_with_its_claude_code_and_the_result_stays_due", || {
        let Some(stage) = stage() else { return };
        let mut open = Open::launching(&stage);
        await_listener(&stage);
        open.kill_once_written("LISTENING");
        wait_until("the listener ends", || !is_listening(&stage));
        stage.write("gate", "");
        let job = stage.finished_job();
        assert_eq!(job["follow_up"]["state"], "pending", "{job:#}");
    });
}

#[test]
fn the_next_session_in_the_same_terminal_does_not_get_the_result() {
    offline("claude_listen::the_next_session_in_the_same_terminal_does_not_get_the_result", || {
        let Some(stage) = stage() else { return };
        let mut open = Open::launching(&stage);
        await_listener(&stage);
        let (before, _) = open.session();
        open.wait_until_written("LISTENING");
        open.type_in("/clear\r", || open.session().0 != before);
        stage.write("gate", "");
        wait_until("the listener ends", || !is_listening(&stage));
        let job = stage.finished_job();
        assert_eq!(job["session"].as_str(), Some(before.as_str()), "{job:#}");
        assert_eq!(job["follow_up"]["state"], "pending", "{job:#}");
        open.kill();
    });
}
