//! Trees of detached processes, each in a process group of its own, are gone whatever ends the job.

use serde_json::Value;
use testkit::wait_until;

use crate::setup::{Setup, code, kind};

/// A chain of three processes, of which the second and the third are detached.
const TREE: [&str; 3] = ["tree", "3", "MARK"];

/// The fates of what the main process left behind.
fn fates(job: &Value) -> Vec<&str> {
    let leftovers = job["leftovers"].as_array().expect("a list");
    leftovers.iter().map(|left| left["fate"].as_str().expect("a fate")).collect()
}

#[test]
fn a_tree_is_gone_after_a_kill() {
    let setup = Setup::new();
    let id = setup.launch(&["--grace", "1s"], &TREE);
    setup.wait_for_marked(3);
    assert_eq!(kind(&setup.kill(&id)), "killed");
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_tree_that_ignores_the_request_to_end_is_gone_after_a_kill() {
    let setup = Setup::new();
    let id = setup.launch(&["--grace", "100ms"], &["stubborn-tree", "3", "MARK"]);
    setup.wait_for_marked(3);
    assert_eq!(kind(&setup.kill(&id)), "killed");
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_tree_is_gone_after_the_timeout() {
    // On a busy machine, it takes longer until all three run. The timeout was then too short for this test.
    let shown = ["2s", "10s", "60s"].into_iter().any(|timeout| {
        let setup = Setup::new();
        let id = setup.launch(&["--timeout", timeout, "--grace", "100ms"], &TREE);
        let mut most = 0;
        wait_until("all three run, or the job has ended", || {
            most = most.max(setup.home.marked().len());
            most == 3 || setup.job(&id)["state"] == "finished"
        });
        assert_eq!(kind(&setup.end_of(&id)), "timed_out");
        assert_eq!(setup.home.marked(), []);
        most == 3
    });
    assert!(shown, "three processes did not start within a minute");
}

#[test]
fn a_tree_is_gone_after_its_supervisor_was_killed() {
    let setup = Setup::new();
    let id = setup.launch(&[], &TREE);
    setup.wait_for_marked(3);
    let job = setup.lose(&id);
    assert_eq!((kind(&job), &job["outcome"]["reason"]), ("lost", &"supervisor_died".into()));
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn what_the_main_process_leaves_behind_is_ended_and_named() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["spawn", "sleep", "MARK", ",", "exit", "5"]);
    assert_eq!((code(&job), fates(&job)), (5, vec!["ended"]));
    let name = job["leftovers"][0]["name"].as_str().expect("a name");
    assert!(name.starts_with("testkit-tool"), "{name}");
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn leftovers_are_kept_on_request_until_the_job_is_killed() {
    let setup = Setup::new();
    let job = setup.finished(&["--leftovers", "keep"], &["spawn", "sleep", "MARK", ",", "exit", "5"]);
    assert_eq!((code(&job), fates(&job)), (5, vec!["kept"]));
    assert_eq!(setup.home.marked().len(), 1);
    setup.run(&["kill", job["id"].as_str().expect("an id")]);
    wait_until("it is gone", || setup.home.marked().is_empty());
}

#[test]
fn an_unrelated_job_is_left_alone() {
    let setup = Setup::new();
    let other = setup.launch(&[], &["sleep", "MARK"]);
    let id = setup.launch(&["--grace", "1s"], &TREE);
    setup.wait_for_marked(4);
    setup.kill(&id);
    assert_eq!(setup.home.marked().len(), 1);
    assert_eq!(setup.job(&other)["state"], "running");
    let lost = setup.launch(&[], &TREE);
    setup.wait_for_marked(4);
    assert_eq!(kind(&setup.lose(&lost)), "lost");
    assert_eq!(setup.home.marked().len(), 1);
    setup.kill(&other);
}
