//! What the model does in a round over MCP, and what has to come of it, whatever the harness.

use std::os::unix::fs::MetadataExt;
use std::process::Output;

use serde_json::{Value, json};
use testkit::{Action, JOB_ID, Rule, Who, wait_until};

use crate::stage::{PRINTED, Stage};

/// What `run_command` says where the job goes on and its session is woken.
pub(crate) const WOKEN_LATER: &str = "You will be notified";

/// What it says where nobody does that.
pub(crate) const WAIT_INSTEAD: &str = "Nobody will notify you. Before you finish";

/// Prints when there is a file of that name in the home directory.
const JOB: &str = "until [ -e ~/gate ]; do sleep 0.05; done; echo greetings-$((40 + 2))";

/// A model that launches a job which goes on, and ends its turn; woken with the result, it says so.
pub(crate) fn launches_and_ends_its_turn() -> Vec<Rule> {
    vec![
        Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
        Rule::new(Who::User, "LAUNCH", launch()),
        Rule::new(Who::Tool, WOKEN_LATER, Action::Say("LAUNCHED".to_owned())),
    ]
}

/// A model that launches a job, and waits for its result.
pub(crate) fn launches_and_waits() -> Vec<Rule> {
    let wait = json!({"job_ids": [JOB_ID], "timeout_ms": 50_000});
    vec![
        Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
        Rule::new(Who::User, "LAUNCH", launch()),
        Rule::new(Who::Tool, "is running in the background", call("wait_for_jobs", wait)),
        Rule::new(Who::Tool, PRINTED, Action::Say("READ".to_owned())),
    ]
}

fn launch() -> Action {
    call("run_command", json!({"command": JOB, "run_in_background": true}))
}

fn call(tool: &str, arguments: Value) -> Action {
    Action::Call { tool: tool.to_owned(), arguments }
}

/// Whether somebody waits for the one job there is: its record is locked as long as its session attends to it. A job
/// that ended before would wake the session.
fn is_waited_for(stage: &Stage) -> bool {
    let job = stage.job();
    let Some(id) = job["id"].as_str() else { return false };
    let record = stage.home.path().join("jobs").join(id).join("record");
    let Ok(status) = std::fs::metadata(record) else { return false };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let inode = format!(":{} ", status.ino());
    locks.lines().any(|line| line.contains("FLOCK") && line.contains(&inode))
}

/// Lets the job end once the model waits for it in that turn, and returns what the turn comes to.
pub(crate) fn turn_that_waits(stage: &Stage, turn: impl FnOnce() -> Output + Send) -> Output {
    std::thread::scope(|scope| {
        let turn = scope.spawn(turn);
        wait_until("the model waits for its job", || is_waited_for(stage));
        stage.write("gate", "");
        turn.join().expect("it does not panic")
    })
}

/// Lets the job end, and waits until the session has been told and is left in peace.
#[track_caller]
pub(crate) fn end_job_and_see_it_told(stage: &Stage, envelope: bool) {
    assert_ne!(stage.job()["state"], "finished", "{:#}", stage.job());
    stage.write("gate", "");
    stage.finished_job();
    stage.wait_until_told();
    wait_until_left_alone(stage);
    stage.assert_woken(envelope, "LAUNCH please");
}

/// Checks that the model read the result itself, and that nobody tells it again.
#[track_caller]
pub(crate) fn assert_read_and_not_woken(stage: &Stage) {
    // The server may outlive its harness for the moment that this takes.
    wait_until("that is known", || stage.job()["follow_up"]["state"] == "acknowledged");
    wait_until_left_alone(stage);
    stage.wake();
    let asked = stage.model.asked();
    let told = asked.iter().filter(|asked| asked.text.contains(PRINTED));
    let told: Vec<_> = told.map(|asked| asked.who).collect();
    assert_eq!(told, [Some(Who::Tool)], "{asked:#?}");
}

/// A monitor that was started with a job ends when nothing is left to tell.
fn wait_until_left_alone(stage: &Stage) {
    let monitor = |command: &str| command.contains("homing") && command.contains("monitor");
    wait_until("the monitor is gone", || {
        !stage.home.processes().iter().any(|process| monitor(&process.command_line))
    });
}
