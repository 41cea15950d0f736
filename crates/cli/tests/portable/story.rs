//! One job from its launch to its removal, with a launcher and a monitor that are killed in between.

use serde_json::json;

use crate::monitor::{configure, monitor, wait_for_acknowledged, wakes};
use crate::setup::{Running, Setup, code};

#[test]
fn a_job_is_launched_ends_wakes_its_session_and_is_pruned() {
    let setup = Setup::new();
    configure(&setup, &["append-stdin", &setup.path("woken")]);
    let (ran, go) = (setup.path("ran"), setup.path("go"));
    let actions = ["append", &ran, "x", ",", "wait-for-file", &go, ",", "print", "done", ",", "exit", "3"];
    let request = ["--session", "chat-1", "--key", "message-17"];

    // The launcher is killed while it waits for its job, and starts again.
    let options = [&request[..], &["--wait"]].concat();
    let launcher = Running::start(&mut setup.command(&setup.run_words(&options, &actions)));
    setup.wait_for_file("ran");
    drop(launcher);
    let id = setup.launch(&request, &actions);
    assert_eq!(setup.job(&id)["state"], "running");

    // The job ends while no program of homing but its supervisor runs.
    setup.create("go");
    testkit::wait_until("job and supervisor are gone", || setup.home.processes().is_empty());
    let job = setup.job(&id);
    assert_eq!((code(&job), &job["follow_up"]["state"]), (3, &json!("pending")));
    assert_eq!(setup.lines("ran"), ["x"]);

    // Its session is woken, once, with its result.
    let running = monitor(&setup);
    wait_for_acknowledged(&setup, &id);
    drop(running);
    let wakes = wakes(&setup, "woken");
    let [wake] = wakes.as_slice() else { panic!("one wake: {wakes:#?}") };
    assert_eq!((&wake["session"], &wake["jobs"][0]["id"]), (&json!("chat-1"), &json!(id)));
    assert!(wake["text"].as_str().is_some_and(|text| text.contains("exit code 3") && text.contains("done")));

    assert_eq!(setup.run(&["prune", "--older-than", "0s"]).status, Some(0));
    assert!(setup.jobs().is_empty());
    assert_eq!(setup.run(&["show", &id]).status, Some(3));
    // The key is free again.
    let again = setup.launch(&request, &actions);
    assert_eq!(code(&setup.end_of(&again)), 3);
    assert_eq!(setup.lines("ran"), ["x", "x"]);
}
