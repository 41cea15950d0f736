//! The monitor delivers results through a program, also after it was killed.

use std::process::Command;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::setup::{Running, Setup};

/// Configures a sink for every session that runs the helper program with these actions.
pub(crate) fn configure(setup: &Setup, actions: &[&str]) {
    // Literal strings of TOML: paths may contain backslashes.
    let words: Vec<String> = setup.tool_words(actions).iter().map(|word| format!("'{word}'")).collect();
    let retries = vec!["\"5ms\""; 60].join(", ");
    setup.configure(&format!(
        "[sinks.app]\ncommand = [{}]\n\n[[routes]]\nsink = \"app\"\n\n[monitor]\nautostart = false\n\
         batch_window = \"0s\"\nretries = [{retries}]\nbusy_retry = \"1ms\"\nwakes_per_hour = 100000\n",
        words.join(", ")
    ));
}

pub(crate) fn monitor(setup: &Setup) -> Running {
    Running::start(&mut setup.command(&["monitor"]))
}

/// The wakes that a sink has appended to a file.
pub(crate) fn wakes(setup: &Setup, file: &str) -> Vec<Value> {
    setup.lines(file).iter().map(|line| serde_json::from_str(line).expect("a wake")).collect()
}

pub(crate) fn wait_for_acknowledged(setup: &Setup, id: &str) {
    wait_until("the result is acknowledged", || setup.follow_up(id) == "acknowledged");
}

fn jobs_of(wake: &Value) -> Vec<&str> {
    wake["jobs"].as_array().expect("jobs").iter().map(|job| job["id"].as_str().expect("an id")).collect()
}

#[test]
fn a_program_gets_the_wake_of_its_session() {
    let setup = Setup::new();
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let _monitor = monitor(&setup);
    let actions = ["print", "the output", ",", "exit", "3"];
    let one = setup.launch(&["--session", "chat-1"], &actions);
    wait_for_acknowledged(&setup, &one);
    let two = setup.launch(&["--session", "chat-2"], &actions);
    wait_for_acknowledged(&setup, &two);
    let wakes = wakes(&setup, "woken");
    let delivered: Vec<_> = wakes.iter().map(|wake| (&wake["session"], jobs_of(wake))).collect();
    assert_eq!(delivered, [(&json!("chat-1"), vec![&*one]), (&json!("chat-2"), vec![&*two])]);
    let text = wakes[0]["text"].as_str().expect("a text");
    assert!(text.contains("the output") && text.contains("exit code 3"), "{text}");
    assert_eq!((&wakes[0]["schema"], &wakes[0]["attempt"]), (&json!("homing.wake/1"), &json!(1)));
}

#[test]
fn a_monitor_without_a_configuration_runs_one_program_for_every_session() {
    let setup = Setup::new();
    let id = setup.finished(&["--session", "chat"], &["exit", "0"])["id"].as_str().expect("an id").to_owned();
    let woken = setup.path("woken");
    let program = setup.tool_words(&["append-stdin", &woken]);
    let answer = setup.run(&[&["monitor", "--once", "--command"], &program[..]].concat());
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert_eq!(setup.follow_up(&id), "acknowledged");
    assert_eq!(wakes(&setup, "woken").len(), 1);
}

#[test]
fn a_failed_or_busy_wake_is_sent_again_with_the_same_id() {
    for code in ["1", "75"] {
        let setup = Setup::new();
        let (tried, broken) = (setup.path("tried"), setup.path("broken"));
        setup.create("broken");
        configure(&setup, &["append-stdin", &tried, ",", "exit-if", &broken, code]);
        let _monitor = monitor(&setup);
        let id = setup.launch(&[], &["exit", "0"]);
        wait_until("it was tried twice", || setup.lines("tried").len() >= 2);
        assert_eq!(setup.follow_up(&id), "pending");
        std::fs::remove_file(&broken).expect("the file exists");
        wait_for_acknowledged(&setup, &id);
        let wakes = wakes(&setup, "tried");
        assert!(wakes.iter().all(|wake| wake["id"] == wakes[0]["id"] && wake["text"] == wakes[0]["text"]));
    }
}

#[test]
fn a_session_that_is_gone_is_not_tried_again() {
    let setup = Setup::new();
    configure(
        &setup,
        &["append-stdin", &setup.path("tried"), ",", "print-error", "no such chat", ",", "exit", "69"],
    );
    let job = setup.finished(&[], &["exit", "0"]);
    let id = job["id"].as_str().expect("an id");
    for _ in 0..2 {
        assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    }
    let follow_up = &setup.job(id)["follow_up"];
    assert_eq!(
        (&follow_up["state"], &follow_up["last_error"]),
        (&json!("dead"), &json!("gone: no such chat"))
    );
    assert_eq!(setup.lines("tried").len(), 1);
}

#[test]
fn a_monitor_that_was_killed_during_a_delivery_is_replaced() {
    let setup = Setup::new();
    let (tried, go) = (setup.path("tried"), setup.path("go"));
    configure(&setup, &["append-stdin", &tried, ",", "wait-for-file", &go]);
    let first = monitor(&setup);
    let id = setup.launch(&[], &["exit", "0"]);
    wait_until("the delivery has begun", || setup.lines("tried").len() == 1);
    drop(first);
    let _second = monitor(&setup);
    setup.create("go");
    wait_for_acknowledged(&setup, &id);
    let wakes = wakes(&setup, "tried");
    assert!(wakes.iter().all(|wake| wake["id"] == wakes[0]["id"]), "{wakes:#?}");
}

#[test]
fn a_second_monitor_takes_over_from_a_killed_one() {
    let setup = Setup::new();
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let first = monitor(&setup);
    let one = setup.launch(&[], &["exit", "0"]);
    wait_for_acknowledged(&setup, &one);
    let _second = monitor(&setup);
    drop(first);
    let two = setup.launch(&[], &["exit", "0"]);
    wait_for_acknowledged(&setup, &two);
    let delivered: Vec<Value> = wakes(&setup, "woken").iter().map(|wake| json!(jobs_of(wake))).collect();
    assert_eq!(delivered, [json!([one]), json!([two])]);
}

#[test]
fn results_from_before_the_monitor_are_delivered_once() {
    let setup = Setup::new();
    let ids: Vec<String> = (0..5)
        .map(|number| setup.launch(&["--session", &format!("chat-{number}")], &["exit", "0"]))
        .collect();
    for id in &ids {
        setup.end_of(id);
    }
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let _monitor = monitor(&setup);
    for id in &ids {
        wait_for_acknowledged(&setup, id);
    }
    assert_eq!(wakes(&setup, "woken").len(), 5);
}

#[test]
fn a_job_that_was_killed_wakes_nobody() {
    let setup = Setup::new();
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let killed = setup.launch(&[], &["sleep", "MARK"]);
    setup.kill(&killed);
    assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    assert_eq!(setup.follow_up(&killed), "suppressed");
    assert_eq!(setup.lines("woken"), [""; 0]);
}

#[test]
fn a_launch_starts_a_monitor_that_ends_when_everything_is_delivered() {
    let setup = Setup::new();
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let config = std::fs::read_to_string(setup.file("config.toml")).expect("a configuration");
    setup.configure(&config.replace("autostart = false", "autostart = true"));
    let launch = |command: &mut Command| command.output().expect("it runs");
    let launched = launch(&mut setup.command(&setup.run_words(&[], &["exit", "0"])));
    assert!(launched.status.success(), "{launched:?}");
    wait_for_acknowledged(&setup, "last");
    wait_until("the monitor has ended", || setup.home.processes().is_empty());
    assert_eq!(setup.lines("woken").len(), 1);
}
