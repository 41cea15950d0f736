//! Removing or renaming a sink in the configuration does not block its sessions: their wakes are routed again.

use std::fs;
use std::path::Path;

use homing::{FollowUpState, JobSpec, OpenOptions};
use testkit::{TempHome, wait_until};

use crate::monitors::{MonitorProcess, deliver_once, program};
use crate::recorder::Recorder;
use crate::setup::{PROGRAM, Setup};

/// Writes a configuration with one sink of that name for every session, and one wake an hour.
fn write(home: &TempHome, name: &str, program: &Path) {
    let text = format!(
        "[sinks.{name}]\ncommand = [\"{}\"]\n\n[[routes]]\nsink = \"{name}\"\n\n\
         [monitor]\ngather = \"0s\"\nretries = [\"1h\"]\nwakes_per_hour = 1\n",
        program.display()
    );
    let path = home.scratch().join("config.toml");
    fs::write(path.with_extension("new"), text).expect("a configuration");
    fs::rename(path.with_extension("new"), path).expect("it takes its place");
}

#[test]
fn wakes_of_a_renamed_sink_are_routed_again_and_count_once() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write(&setup.home, "old", &recorder.program());
    recorder.answers("chat", &["lost"]);
    let id = setup.launch("chat", "true");
    setup.wait_for_end(&[id]);
    deliver_once(&setup.home);
    let waiting = setup.job(id).follow_up;
    assert!(waiting.next_attempt_at.is_some() && waiting.state == FollowUpState::Pending, "{waiting:?}");
    write(&setup.home, "new", &recorder.program());
    // Neither the delay of an hour nor the budget of one wake an hour holds it.
    deliver_once(&setup.home);
    setup.wait_for_acknowledged(&[id]);
    let wakes = setup.homing.wakes_of(id).expect("wakes");
    let sinks: Vec<Option<&str>> = wakes.iter().map(|wake| wake.sink.as_deref()).collect();
    assert_eq!(sinks, [Some("new"), Some("old")]);
    let reason = wakes[1].last_error.as_deref();
    assert_eq!(reason, Some("sink \"old\" is no longer configured; a new wake replaces this one"));
    // The budget counts the new wake.
    let next = setup.launch("chat", "true");
    setup.wait_for_end(&[next]);
    deliver_once(&setup.home);
    let held = setup.job(next).follow_up.last_error;
    assert_eq!(held.as_deref(), Some("held: 1 wakes in the last hour (monitor.wakes_per_hour)"));
}

#[test]
fn a_running_monitor_notices_that_a_sink_was_renamed() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write(&setup.home, "old", &recorder.program());
    recorder.answers("chat", &["lost"]);
    let monitor = MonitorProcess::start(&setup.home, "");
    let id = setup.launch("chat", "true");
    wait_until("it waits for its next attempt", || setup.job(id).follow_up.next_attempt_at.is_some());
    write(&setup.home, "new", &recorder.program());
    setup.wait_for_acknowledged(&[id]);
    monitor.kill_9();
}

#[test]
fn a_job_that_names_a_removed_sink_is_held_while_other_jobs_are_delivered() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write(&setup.home, "old", &recorder.program());
    let config = homing::Config::load_from(&setup.home.scratch().join("config.toml")).expect("it is right");
    let homing = OpenOptions::new().home(setup.home.path()).config(config).supervisor(PROGRAM).open();
    let spec = JobSpec::script("true").expect("a script").session("chat".parse().expect("a session"));
    let naming = homing.expect("the home opens").launch(spec.sink("old")).expect("it is launched").id;
    setup.wait_for_end(&[naming]);
    write(&setup.home, "new", &recorder.program());
    let routed = setup.launch("chat", "true");
    setup.wait_for_end(&[routed]);
    deliver_once(&setup.home);
    assert_eq!(setup.state(routed), FollowUpState::Acknowledged);
    let output = program(&setup.home).args(["follow-ups", "--json"]).output().expect("it runs");
    let jobs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("documents");
    let jobs = jobs.as_array().or_else(|| jobs["jobs"].as_array()).expect("a list").clone();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0]["id"], naming.as_str());
    assert_eq!(jobs[0]["follow_up"]["last_error"], "the sink \"old\" is not configured");
    // It is delivered once the sink exists again.
    write(&setup.home, "old", &recorder.program());
    let text = fs::read_to_string(setup.home.scratch().join("config.toml")).expect("it is there");
    let text = text.replace("wakes_per_hour = 1", "wakes_per_hour = 2");
    fs::write(setup.home.scratch().join("config.toml"), text).expect("it can be written");
    deliver_once(&setup.home);
    setup.wait_for_acknowledged(&[naming]);
}
