//! The script of a model that starts `homing listen` as a background command of its harness, and what is expected then.

use serde_json::Value;
use testkit::{Action, Rule, Who, wait_until};

use crate::stage::{FINISHES_AT_GATE, PRINTED, Stage};

/// Acknowledges the only job. Gemini CLI refuses commands with `$(`.
const ACKNOWLEDGE: &str = "ls \"$HOMING_HOME/jobs\" | xargs homing ack && printf 'acknowledged-%d\\n' 42";

/// A model that launches a job, starts `homing listen` by the call `listen`, and ends its turn when the answer contains
/// `started`. When its harness says that the command has ended, by a message that contains `ended`, it calls `read`. When
/// it has read the result, it acknowledges it.
pub(crate) fn launches_and_listens(
    listen: (&str, Value),
    started: &str,
    ended: &str,
    read: Action,
) -> Vec<Rule> {
    let (tool, arguments) = listen;
    vec![
        Rule { who: None, ..Rule::new(Who::Tool, PRINTED, Action::Shell(ACKNOWLEDGE.to_owned())) },
        Rule::new(Who::Tool, "acknowledged-42", Action::Say("READ".to_owned())),
        Rule::new(Who::Tool, started, Action::Say("LISTENING".to_owned())),
        // On a busy machine, Gemini CLI may show a part of the output only.
        Rule::new(Who::Tool, "", Action::Call { tool: tool.to_owned(), arguments }),
        Rule::new(Who::User, ended, read),
        Rule::new(Who::User, "LAUNCH", Action::Shell(FINISHES_AT_GATE.to_owned())),
    ]
}

/// Waits until a listener runs that holds back the monitor.
pub(crate) fn await_listener(stage: &Stage) {
    wait_until("a listener waits", || is_listening(stage));
}

/// Whether a listener runs.
pub(crate) fn is_listening(stage: &Stage) -> bool {
    let is_listener = |line: &str| line.starts_with("homing listen") || line.contains("/homing listen");
    stage.home.processes().iter().any(|process| is_listener(&process.command_line))
}

/// Lets the job end, and checks that the agent reads the result once and acknowledges it.
#[track_caller]
pub(crate) fn end_job_and_await_acknowledgement(stage: &Stage) {
    assert_ne!(stage.job()["state"], "finished", "{:#}", stage.job());
    stage.write("gate", "");
    wait_until("the agent acknowledges the result", || stage.job()["follow_up"]["state"] == "acknowledged");
    assert_read_once(stage);
}

/// Checks that the agent has read the result once, and that nothing is delivered after that.
#[track_caller]
pub(crate) fn assert_read_once(stage: &Stage) {
    wait_until("no listener runs", || !is_listening(stage));
    wait_until("the model continues", || {
        stage.model.asked().iter().any(|asked| asked.text.contains("acknowledged-42"))
    });
    stage.wake();
    let asked = stage.model.asked();
    let read = asked.iter().filter(|asked| asked.text.contains(PRINTED)).count();
    assert_eq!(read, 1, "{asked:#?}");
}
