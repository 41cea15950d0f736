//! The script of the model in a round over MCP, and its expected result, for every harness.

use std::os::unix::fs::MetadataExt;
use std::process::Output;

use serde_json::{Value, json};
use testkit::{Action, JOB_ID, Rule, Who, wait_until};

use crate::stage::{PRINTED, Stage};

/// Advice of `run_command` if the session will be notified.
pub(crate) const WILL_BE_NOTIFIED: &str = "You will be notified";

/// Advice of `run_command` if nobody will notify the session.
pub(crate) const MUST_WAIT: &str = "Nobody will notify you. Before you finish";

/// Prints when the file `gate` exists in the home directory.
const JOB: &str = "until [ -e ~/gate ]; do sleep 0.05; done; echo greetings-$((40 + 2))";

/// A model that launches a job and ends its turn. When it receives the result, it answers WOKEN.
pub(crate) fn launches_and_ends_its_turn() -> Vec<Rule> {
    vec![
        Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
        Rule::new(Who::User, "LAUNCH", launch()),
        Rule::new(Who::Tool, WILL_BE_NOTIFIED, Action::Say("LAUNCHED".to_owned())),
    ]
}

/// A model that launches a job and waits for its result.
pub(crate) fn launches_and_waits() -> Vec<Rule> {
    let wait = json!({"job_ids": [JOB_ID], "wait_ms": 50_000});
    vec![
        Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
        Rule::new(Who::User, "LAUNCH", launch()),
        Rule::new(Who::Tool, " is running", call("wait_for_jobs", wait)),
        Rule::new(Who::Tool, PRINTED, Action::Say("READ".to_owned())),
    ]
}

fn launch() -> Action {
    call("run_command", json!({"command": JOB, "run_in_background": true}))
}

fn call(tool: &str, arguments: Value) -> Action {
    Action::Call { tool: tool.to_owned(), arguments }
}

/// Whether a call waits for the only job: its record is locked while delivery is held. A job that ends earlier would
/// notify the session.
fn is_waited_for(stage: &Stage) -> bool {
    let job = stage.job();
    let Some(id) = job["id"].as_str() else { return false };
    let record = stage.home.path().join("jobs").join(id).join("record");
    let Ok(status) = std::fs::metadata(record) else { return false };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = format!(":{} ", status.ino());
    locks.lines().any(|line| line.contains("FLOCK") && line.contains(&inode))
}

/// Runs a turn, lets the job end when the model waits for it, and returns the output of the turn.
pub(crate) fn turn_that_waits(stage: &Stage, turn: impl FnOnce() -> Output + Send) -> Output {
    std::thread::scope(|scope| {
        let turn = scope.spawn(turn);
        wait_until("the model waits for its job", || is_waited_for(stage));
        stage.write("gate", "");
        turn.join().expect("it does not panic")
    })
}

/// Lets the job end, and waits until its result is delivered and the monitor has exited.
#[track_caller]
pub(crate) fn end_job_and_await_delivery(stage: &Stage, envelope: bool) {
    assert_ne!(stage.job()["state"], "finished", "{:#}", stage.job());
    stage.write("gate", "");
    stage.finished_job();
    stage.wait_until_delivered();
    wait_until_monitor_exits(stage);
    stage.assert_woken(envelope, "LAUNCH please");
}

/// Checks that the model read the result itself and that it is not delivered again.
#[track_caller]
pub(crate) fn assert_read_and_not_delivered_again(stage: &Stage) {
    // The server may run slightly longer than its harness.
    wait_until("the result is acknowledged", || stage.job()["follow_up"]["state"] == "acknowledged");
    wait_until_monitor_exits(stage);
    stage.wake();
    let asked = stage.model.asked();
    let delivered = asked.iter().filter(|asked| asked.text.contains(PRINTED));
    let delivered: Vec<_> = delivered.map(|asked| asked.who).collect();
    assert_eq!(delivered, [Some(Who::Tool)], "{asked:#?}");
}

/// Waits for the monitor that was started with the job. It exits when nothing is left to deliver.
fn wait_until_monitor_exits(stage: &Stage) {
    let monitor = |command: &str| command.contains("homing") && command.contains("monitor");
    wait_until("the monitor exits", || {
        !stage.home.processes().iter().any(|process| monitor(&process.command_line))
    });
}
