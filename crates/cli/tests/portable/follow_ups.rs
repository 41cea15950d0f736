//! Follow-ups: pending until they are acknowledged, and what may be deleted.

use serde_json::Value;

use crate::setup::Setup;

fn finished(setup: &Setup, session: &str) -> String {
    let job = setup.finished(&["--session", session], &["print", "result", ",", "exit", "2"]);
    job["id"].as_str().expect("an id").to_owned()
}

fn open(setup: &Setup) -> Vec<String> {
    let listed = setup.run(&["follow-ups", "--all-sessions", "--quiet"]);
    listed.text().lines().map(str::to_owned).collect()
}

#[test]
fn a_follow_up_is_pending_until_its_session_reads_the_result() {
    let setup = Setup::new();
    let id = finished(&setup, "chat");
    assert_eq!((setup.follow_up(&id).as_str(), open(&setup)), ("pending", vec![id.clone()]));
    setup.run(&["result", &id, "--session", "other"]);
    assert_eq!(setup.follow_up(&id), "pending", "another session has read it");
    let read = setup.run(&["result", &id, "--session", "chat"]);
    assert!(read.text().contains("result"), "{read:?}");
    assert_eq!((setup.follow_up(&id).as_str(), open(&setup)), ("acknowledged", vec![]));
}

#[test]
fn a_wait_of_the_session_acknowledges() {
    let setup = Setup::new();
    let id = setup.launch(&["--session", "chat"], &["exit", "2"]);
    assert_eq!(setup.run(&["wait", &id, "--session", "chat"]).status, Some(2));
    assert_eq!(setup.follow_up(&id), "acknowledged");
}

#[test]
fn follow_ups_are_acknowledged_and_dropped_by_command() {
    let setup = Setup::new();
    let (first, second) = (finished(&setup, "chat"), finished(&setup, "chat"));
    assert_eq!(setup.run(&["ack", &first]).status, Some(0));
    assert_eq!(setup.run(&["drop", &second]).status, Some(0));
    assert_eq!(setup.follow_up(&first), "acknowledged");
    assert_ne!(setup.follow_up(&second), "pending");
    assert_eq!(open(&setup), [""; 0]);
}

#[test]
fn the_policy_decides_what_is_reported() {
    let setup = Setup::new();
    let state = |policy: &str, code: &str| -> Value {
        setup.finished(&["--follow-up", policy], &["exit", code])["follow_up"]["state"].clone()
    };
    assert_eq!(state("always", "0"), "pending");
    assert_eq!(state("failure", "0"), "suppressed");
    assert_eq!(state("failure", "1"), "pending");
    assert_eq!(state("never", "1"), "suppressed");
}

#[test]
fn only_acknowledged_jobs_are_pruned() {
    let setup = Setup::new();
    let (read, unread) = (finished(&setup, "chat"), finished(&setup, "chat"));
    let running = setup.launch(&[], &["sleep", "MARK"]);
    assert_eq!(setup.run(&["ack", &read]).status, Some(0));
    let pruned = setup.run(&["prune", "--older-than", "0s"]);
    assert_eq!(pruned.status, Some(0), "{pruned:?}");
    assert_eq!(setup.run(&["show", &read]).status, Some(3));
    assert!(!setup.home.path().join("jobs").join(&read).exists());
    assert_eq!(setup.follow_up(&unread), "pending");
    setup.kill(&running);
}

#[test]
fn a_job_is_removed_only_when_it_is_acknowledged() {
    let setup = Setup::new();
    let id = finished(&setup, "chat");
    let refused = setup.run(&["rm", &id]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(setup.run(&["ack", &id]).status, Some(0));
    assert_eq!(setup.run(&["rm", &id]).status, Some(0));
    assert_eq!(setup.run(&["show", &id]).status, Some(3));
}
