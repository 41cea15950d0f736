//! Jobs that are launched from inside a job outlive it, however it ends.

use serde_json::Value;
use testkit::wait_until;

use crate::setup::{Setup, code, kind, program};

/// Launches a job that launches another one, and then performs `rest`. Returns the ids of both when the inner one runs.
fn nested(setup: &Setup, rest: &[&str]) -> (String, String) {
    let tool = setup.tool_words(&[])[0];
    let program = program();
    let inner = ["run", &program, "run", "--", tool, "sleep", "MARK"];
    let config = format!("HOMING_CONFIG={}", setup.path("config.toml"));
    let home = format!("HOMING_HOME={}", setup.home.path().display());
    let options = ["--env", &home, "--env", &config, "--grace", "1s"];
    let outer = setup.launch(&options, &[&inner, rest].concat());
    wait_until("the outer job has printed an id", || setup.output(&outer).len() > 12);
    let inner = setup.text(&outer).trim().to_owned();
    wait_until("the inner job runs", || setup.job(&inner)["state"] == "running");
    (outer, inner)
}

fn assert_survives(setup: &Setup, inner: &str) {
    let job = setup.job(inner);
    assert_eq!(job["state"], "running", "{job:#}");
    assert_eq!(setup.home.marked().len(), 1);
    assert_eq!(kind(&setup.kill(inner)), "killed");
}

#[test]
fn an_inner_job_outlives_the_end_of_the_outer_one() {
    let setup = Setup::new();
    let (outer, inner) = nested(&setup, &[",", "exit", "4"]);
    let job: Value = setup.end_of(&outer);
    assert_eq!(code(&job), 4);
    assert_survives(&setup, &inner);
}

#[test]
fn an_inner_job_outlives_the_kill_of_the_outer_one() {
    let setup = Setup::new();
    let (outer, inner) = nested(&setup, &[",", "wait-for-file", "never"]);
    assert_eq!(kind(&setup.kill(&outer)), "killed");
    assert_survives(&setup, &inner);
}

/// The largest environment that a supervisor on Windows passes on is 1 MiB. Other systems need no supervisor for it.
#[test]
fn a_launch_from_inside_with_a_large_environment_is_refused_with_a_hint_or_runs() {
    let setup = Setup::new();
    let tool = setup.tool_words(&[])[0];
    let program = program();
    let touched = setup.path("touched");
    let inner = ["run-with-large-environment", "40", &program, "run", "--", tool, "touch", &touched];
    let config = format!("HOMING_CONFIG={}", setup.path("config.toml"));
    let home = format!("HOMING_HOME={}", setup.home.path().display());
    let outer = setup.finished(&["--env", &home, "--env", &config], &inner);
    let said = setup.text(outer["id"].as_str().expect("an id"));
    if cfg!(windows) {
        assert_eq!(code(&outer), 1, "{said}");
        assert!(said.contains("1 MiB") && said.contains("\nhint: "), "{said}");
        assert_eq!(setup.jobs().len(), 1, "nothing is left of the inner launch");
        assert!(!setup.file("touched").exists());
    } else {
        assert_eq!(code(&outer), 0, "{said}");
        setup.end_of(said.trim());
        assert!(setup.file("touched").exists());
    }
    // A few variables less, and it runs everywhere.
    let fewer = ["run-with-large-environment", "4", &program, "run", "--", tool, "touch", &touched];
    let outer = setup.finished(&["--env", &home, "--env", &config], &fewer);
    let inner = setup.text(outer["id"].as_str().expect("an id"));
    assert_eq!(code(&outer), 0, "{inner}");
    setup.end_of(inner.trim());
    setup.wait_for_file("touched");
}
