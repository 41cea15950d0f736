//! Failed wakes, and test wakes.

use serde_json::Value;

use crate::documents::steady;
use crate::setup::{Setup, answer};

const QUIET: &str = "monitor.autostart = false\n";

/// A home with one job whose result could not be delivered.
fn undelivered(settings: &str, script: &str) -> (Setup, String) {
    let setup = Setup::new();
    setup.configure(&format!(
        "{QUIET}{settings}[sinks.app]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n\
         [[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n"
    ));
    let id = setup.finished_with(&["--session", "chat-1"], "true");
    let answer = setup.run(&["monitor", "--once"]);
    assert_eq!(answer.status, Some(0), "{answer:?}");
    (setup, id)
}

fn follow_up(setup: &Setup) -> Value {
    let listed = steady(setup.run(&["follow-ups", "--json"]).json());
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    listed[0]["follow_up"].clone()
}

#[test]
fn a_failed_wake_is_retried_later() {
    let (setup, _) = undelivered("", "echo no such room >&2; exit 3");
    insta::assert_json_snapshot!(follow_up(&setup));
}

#[test]
fn a_busy_session_does_not_use_up_an_attempt() {
    let (setup, _) = undelivered("", "echo a turn runs >&2; exit 75");
    insta::assert_json_snapshot!(follow_up(&setup));
}

#[test]
fn a_wake_without_retries_left_is_dead_and_can_be_retried() {
    let (setup, id) = undelivered("monitor.retries = []\n", "echo no such room >&2; exit 3");
    insta::assert_json_snapshot!(follow_up(&setup));

    let table = setup.run(&["follow-ups"]);
    let row: Vec<&str> = table.stdout.lines().nth(1).unwrap().split('\t').collect();
    assert_eq!((row[1], row[2], row[7], row[8]), ("dead", "1", "true", "exit status 3: no such room"));
    assert_eq!(
        table.stderr,
        "homing: note: results in state dead are not delivered again automatically\n\
         hint: run homing show JOB for the reason, homing retry JOB to try again, or homing drop JOB to give up\n"
    );

    setup.configure(&format!("{QUIET}[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n"));
    setup.run(&["retry", &id]);
    assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    assert_eq!(setup.follow_up(&id), "acknowledged");
}

#[test]
fn a_wake_without_a_route_is_held_with_a_reason() {
    let setup = Setup::new();
    setup.configure(&format!(
        "{QUIET}[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n"
    ));
    let id = setup.finished("true");
    setup.run(&["monitor", "--once"]);
    insta::assert_json_snapshot!(follow_up(&setup));
    let table = setup.run(&["follow-ups"]);
    assert!(table.stdout.ends_with("\tno route matches this session\n"), "{table:?}");
    assert!(table.stderr.starts_with("homing: note: no monitor is running, "), "{table:?}");
    assert!(table.stderr.contains("\nhint: run homing monitor "), "{table:?}");
    setup.run(&["ack", &id]);
    assert_eq!(setup.run(&["follow-ups", "--state", "acknowledged"]).stderr, "");
}

#[test]
fn show_lists_every_delivery_attempt() {
    let (setup, id) = undelivered("monitor.retries = []\n", "echo no such room >&2; exit 3");
    setup.run(&["retry", &id]);
    setup.run(&["monitor", "--once"]);
    let shown = setup.run(&["show", &id]).stdout;
    let wakes: Vec<&str> = shown.lines().skip_while(|line| *line != "Wakes").collect();
    let [_, newest, its_attempt, oldest, other_attempt] = wakes[..] else { panic!("two wakes: {shown}") };
    assert!(newest > oldest, "{shown}");
    for (wake, attempt) in [(newest, its_attempt), (oldest, other_attempt)] {
        assert!(wake.starts_with("  w_01") && wake.ends_with("  dead  through app"), "{shown}");
        assert!(attempt.starts_with("    1  20") && attempt.contains(" ago)  failed after "), "{shown}");
        assert!(attempt.ends_with(": exit status 3: no such room"), "{shown}");
    }
}

#[test]
fn a_route_is_tried_with_a_test_wake() {
    let setup = Setup::new();
    let (keeper, kept) = setup.keeper();
    setup.configure(&format!(
        "{QUIET}[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[[routes]]\nharness = \"codex\"\nsink = \"app\"\n"
    ));
    let refused = setup.run(&["doctor", "--wake", "chat-1"]);
    assert_eq!((refused.status, refused.stderr.as_str()), (Some(1), ""));
    assert!(
        refused.stdout.contains("✗ route    chat-1: no route matches this session\n    hint: "),
        "{refused:?}"
    );

    let answer = setup.run(&["doctor", "--wake", "chat-1", "--harness", "codex"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    assert!(answer.stdout.contains("✓ route     chat-1 is woken through app\n"), "{answer:?}");
    assert!(answer.stdout.contains("✓ delivery  delivered in "), "{answer:?}");
    assert!(std::fs::read_to_string(kept).unwrap().contains("this is a test"));

    let checks = setup.run(&["doctor", "--wake", "chat-1", "--harness", "codex", "--json"]).json();
    insta::assert_json_snapshot!(steady(checks));
    assert_eq!(setup.run(&["doctor", "--harness", "codex"]).status, Some(2), "--harness requires --wake");
}

#[test]
fn doctor_uses_the_preset_of_the_harness_by_default() {
    let setup = Setup::new();
    let refused = setup.run(&["doctor", "--wake", "chat-1"]);
    assert!(refused.stdout.contains("✗ route    chat-1: no sink is configured\n"), "{refused:?}");
    // The harness comes from the option, or from a job of the session.
    let mut launch = setup.command(&["run", "true"]);
    launch.env("HOMING_SESSION", "chat-2").env("HOMING_HARNESS", "codex");
    let id = answer(launch).stdout.trim_end().to_owned();
    setup.wait_for_end(&id);
    for arguments in
        [&["doctor", "--wake", "chat-1", "--harness", "codex"][..], &["doctor", "--wake", "chat-2"]]
    {
        let mut doctor = setup.command(arguments);
        // An empty PATH, so that no agent runs.
        doctor.env("PATH", setup.home.scratch());
        let answer = answer(doctor);
        let expected = format!(
            "• route     {} is woken through the preset codex, for jobs launched over MCP only\n",
            arguments[2]
        );
        assert!(answer.stdout.contains(&expected), "{answer:?}");
        assert!(answer.stdout.contains("hint: set agents = [\"codex\"] in config.toml"), "{answer:?}");
        assert!(answer.stdout.contains("delivery"), "{answer:?}");
    }
    setup.configure("monitor.autostart = false\n");
    let refused = setup.run(&["doctor", "--wake", "chat-2"]);
    assert!(refused.stdout.contains("✗ route    chat-2: no sink is configured\n"), "{refused:?}");
}
