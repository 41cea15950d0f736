//! Launches from inside a job object of another program, as terminals, editors and services make them.
#![cfg(windows)]

use serde_json::Value;

use crate::setup::{Answer, Setup, answer, program};

/// Runs homing inside job objects that end with the launcher, and that processes may leave (`open`) or not (`closed`). The
/// first one is around the others.
fn inside(setup: &Setup, kinds: &[&str], arguments: &[&str]) -> Answer {
    let (tool, program) = (setup.tool_words(&[])[0], program());
    let mut words = Vec::new();
    for kind in kinds {
        words.extend(["run-in-job-object", *kind, tool]);
    }
    // The innermost one runs the program itself.
    words.pop();
    words.push(&program);
    answer(&setup.tool_command(&[&words, arguments].concat()).output().expect("it runs"))
}

/// What `doctor` says about the job object of its process.
fn check(setup: &Setup, kinds: &[&str]) -> Value {
    let Value::Array(checks) = inside(setup, kinds, &["doctor", "--json"]).json() else { panic!("no list") };
    checks.into_iter().find(|check| check["name"] == "job object").expect("a check of the job object")
}

#[test]
fn a_job_outlives_a_job_object_that_processes_may_leave() {
    let setup = Setup::new();
    // One action: the helper program around would take a second one for its own.
    let launched = inside(&setup, &["open"], &setup.run_words(&[], &["sleep", "MARK"]));
    assert_eq!((launched.status, launched.stderr.as_str()), (Some(0), ""), "{launched:?}");
    let id = launched.text().trim_end();
    setup.wait_for_marked(1);
    assert_eq!(setup.job(id)["state"], "running");
    setup.kill(id);
    assert_eq!(check(&setup, &["open"])["verdict"], "ok");
}

/// The job would end with the launcher, so it is not launched.
#[test]
fn a_job_object_that_processes_may_not_leave_is_a_refusal_with_a_hint() {
    let setup = Setup::new();
    let ran = setup.path("ran");
    for options in [&[][..], &["--wait"], &["--key", "k"]] {
        let refused = inside(&setup, &["closed"], &setup.run_words(options, &["touch", &ran]));
        assert_eq!((refused.status, refused.text()), (Some(1), ""), "{options:?}: {refused:?}");
        let (reason, hint) = refused.stderr.split_once("\nhint: ").unwrap_or_else(|| panic!("{refused:?}"));
        assert!(reason.contains("job object") && hint.contains("BREAKAWAY"), "{refused:?}");
    }
    assert!(setup.jobs().is_empty() && !setup.file("ran").exists(), "nothing is left of the launches");
    let left = setup.home.path().join("jobs").read_dir().expect("a folder").flatten();
    assert!(left.into_iter().all(|job| job.path().read_dir().is_ok_and(|mut files| files.next().is_none())));
    let check = check(&setup, &["closed"]);
    assert_eq!(check["verdict"], "note", "{check:#}");
    assert!(check["hint"].as_str().is_some_and(|hint| hint.contains("BREAKAWAY")), "{check:#}");
    // The key is free: outside of the job object, it launches.
    let id = setup.launch(&["--key", "k"], &["touch", &ran]);
    setup.end_of(&id);
    assert!(setup.file("ran").exists());
}

/// Processes leave the inner job object and stay in the outer one.
#[test]
fn a_job_that_ends_with_an_outer_job_object_says_so_at_launch_and_in_its_record() {
    let setup = Setup::new();
    let words = setup.run_words(&["--session", "chat"], &["sleep", "MARK"]);
    let launched = inside(&setup, &["closed", "open"], &words);
    assert_eq!(launched.status, Some(0), "{launched:?}");
    assert!(launched.stderr.contains("may end with that program"), "{launched:?}");
    assert!(launched.stderr.contains("hint: "), "{launched:?}");
    let id = launched.text().trim_end();
    testkit::wait_until("all have ended with the launcher", || setup.home.processes().is_empty());
    let record = std::fs::read(setup.home.path().join("jobs").join(id).join("record")).expect("a record");
    assert!(String::from_utf8_lossy(&record).contains("a job object of another program"));
    assert_eq!(setup.run(&["recover"]).status, Some(0));
    let job = setup.job(id);
    assert_eq!((crate::setup::kind(&job), &job["follow_up"]["state"]), ("lost", &"pending".into()));
    let check = check(&setup, &["closed", "open"]);
    assert_eq!(check["verdict"], "note", "{check:#}");
    assert!(check["detail"].as_str().is_some_and(|detail| detail.contains("outer one")), "{check:#}");
}

#[test]
fn jobs_that_run_already_are_read_from_inside_of_any_job_object() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["sleep", "MARK"]);
    for kind in ["open", "closed"] {
        assert_eq!(inside(&setup, &[kind], &["show", &id, "--json"]).json()["state"], "running", "{kind}");
    }
    assert_eq!(inside(&setup, &["closed"], &["kill", &id]).status, Some(0));
    assert_eq!(crate::setup::kind(&setup.job(&id)), "killed");
}
