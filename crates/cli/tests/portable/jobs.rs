//! Jobs and their documents: exit codes, names, lists.

use serde_json::{Value, json};

use crate::setup::{Setup, code, kind};

#[test]
fn exit_codes_are_kept() {
    let setup = Setup::new();
    for code in [0, 1, 9, 77, 255] {
        let job = setup.finished(&[], &["exit", &code.to_string()]);
        assert_eq!(job["outcome"], json!({"kind": "exited", "exit_code": code}));
        assert_eq!(job["succeeded"], json!(code == 0));
        let id = job["id"].as_str().expect("an id");
        assert_eq!(setup.run(&["wait", id]).status, Some(code));
    }
}

#[cfg(windows)]
#[test]
fn exit_codes_have_32_bits() {
    let setup = Setup::new();
    for wanted in [256, 0x7FFF_FFFF, 0xC000_0005, 0xFFFF_FFFF_u32] {
        let job = setup.finished(&[], &["exit", &wanted.to_string()]);
        assert_eq!((kind(&job), code(&job)), ("exited", i64::from(wanted)));
        let id = job["id"].as_str().expect("an id");
        // The exit status of homing itself has eight bits on every system, and a larger code is 255: never 0.
        assert_eq!(setup.run(&["wait", id]).status, Some(255));
    }
}

#[test]
fn a_crash_is_told_from_an_exit() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["crash"]);
    assert_eq!(job["succeeded"], json!(false));
    if cfg!(windows) {
        // STATUS_STACK_BUFFER_OVERRUN, with which abort() ends a program.
        assert_eq!((kind(&job), code(&job)), ("exited", 0xC000_0409));
    } else {
        assert_eq!(job["outcome"]["signal"], "SIGABRT", "{job:#}");
    }
}

#[test]
fn a_running_job_has_a_process_and_no_outcome() {
    let setup = Setup::new();
    let id = setup.launch(&["--timeout", "none", "--name", "nap"], &["sleep", "MARK"]);
    setup.wait_for_marked(1);
    let job = setup.job(&id);
    let fields = ["schema", "state", "name", "outcome", "ended_at", "timeout_ms", "succeeded"];
    let values: Vec<Value> = fields.iter().map(|field| job[field].clone()).collect();
    let expected = [
        json!("homing.job/1"),
        json!("running"),
        json!("nap"),
        json!(null),
        json!(null),
        json!(null),
        json!(null),
    ];
    assert_eq!(values, expected);
    assert_eq!(job["pid"], json!(setup.home.marked()[0].pid));
    assert!(job["started_at"].is_string() && job["follow_up"]["state"] == "waiting", "{job:#}");
    setup.kill(&id);
}

#[test]
fn a_finished_job_has_an_outcome_and_times() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["print", "out", ",", "exit", "3"]);
    assert_eq!(job["outcome"], json!({"kind": "exited", "exit_code": 3}));
    assert_eq!(job["output"], json!({"total_bytes": 4, "omitted_bytes": 0, "dropped_bytes": 0}));
    assert_eq!((&job["state"], &job["leftovers"]), (&json!("finished"), &json!([])));
    let time =
        |name: &str| -> jiff::Timestamp { job[name].as_str().expect("a time").parse().expect("a time") };
    assert!(time("created_at") <= time("started_at") && time("started_at") <= time("ended_at"), "{job:#}");
    assert!(job["duration_ms"].is_u64() && job["cpu_ms"].is_u64(), "{job:#}");
}

#[test]
fn a_job_is_found_by_its_name_a_prefix_and_as_the_last_one() {
    let setup = Setup::new();
    let first = setup.launch(&["--name", "build"], &["exit", "1"]);
    let second = setup.launch(&["--name", "build"], &["exit", "2"]);
    for id in [&first, &second] {
        setup.end_of(id);
    }
    for (name, id) in [("build", &second), ("last", &second), (&first[..8], &first)] {
        assert_eq!(setup.job(name)["id"], json!(id), "{name}");
    }
    let unknown = setup.run(&["show", "0123456789ab", "--json"]);
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (Some(3), &json!("no_such_job")));
}

#[test]
fn lists_show_the_newest_first_and_can_be_filtered() {
    let setup = Setup::new();
    let ids: Vec<String> = (0..3)
        .map(|code| {
            setup.finished(&[], &["exit", &code.to_string()])["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let listed = |arguments: &[&str]| -> Vec<String> {
        let answer = setup.run(&[&["list", "--quiet"], arguments].concat());
        answer.text().lines().map(str::to_owned).collect()
    };
    assert_eq!(listed(&[]), [&*ids[2], &ids[1], &ids[0]]);
    assert_eq!(listed(&["--failed"]), [&*ids[2], &ids[1]]);
    assert_eq!(listed(&["--limit", "1"]), [&*ids[2]]);
    let documents: Vec<Value> = setup.jobs().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(documents, [json!(ids[2]), json!(ids[1]), json!(ids[0])]);
}

#[test]
fn a_job_can_be_launched_again() {
    let setup = Setup::new();
    let first = setup.finished(&["--name", "again"], &["append", &setup.path("ran"), "x", ",", "exit", "4"]);
    let again = setup.run(&["rerun", "again"]);
    assert_eq!(again.status, Some(0), "{again:?}");
    let second = setup.end_of(again.text().trim_end());
    assert_ne!(second["id"], first["id"]);
    assert_eq!((&second["argv"], code(&second)), (&first["argv"], 4));
    assert_eq!(setup.lines("ran"), ["x", "x"]);
}

#[test]
fn the_result_has_the_outcome_and_the_output() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["print", "the last line", ",", "exit", "7"]);
    let result = setup.run(&["result", job["id"].as_str().expect("an id")]);
    assert_eq!(result.status, Some(0), "{result:?}");
    let parts = testkit::unframe(result.text());
    assert!(parts.outside.contains("exit code 7"), "{result:?}");
    assert_eq!(parts.inside, "the last line\n");
}
