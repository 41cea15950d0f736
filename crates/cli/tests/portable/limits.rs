//! Timeouts, the grace period, and killed jobs.

use serde_json::json;
use testkit::wait_until;

use crate::setup::{Running, Setup, code, is_wine, kind};

const SOON: [&str; 2] = ["--timeout", "300ms"];

#[test]
fn a_job_ends_at_its_timeout() {
    let setup = Setup::new();
    let job = setup.finished(&SOON, &["sleep", "MARK"]);
    assert_eq!((kind(&job), &job["succeeded"]), ("timed_out", &json!(false)));
    assert_eq!(setup.home.marked(), []);
    assert_eq!(setup.run(&["wait", job["id"].as_str().expect("an id")]).status, Some(124));
}

#[test]
fn the_timeout_is_enforced_while_nobody_looks() {
    let setup = Setup::new();
    let id = setup.launch(&SOON, &["sleep", "MARK"]);
    wait_until("job and supervisor are gone", || setup.home.processes().is_empty());
    assert_eq!(kind(&setup.job(&id)), "timed_out");
}

#[test]
fn a_job_that_ignores_the_request_to_end_is_killed_after_the_grace() {
    let setup = Setup::new();
    let limits = [&SOON[..], &["--grace", "200ms"]].concat();
    let job = setup.finished(&limits, &["ignore-term", ",", "sleep", "MARK"]);
    assert_eq!(kind(&job), "timed_out");
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn a_job_that_exits_in_the_grace_has_still_been_killed() {
    let setup = Setup::new();
    let ready = setup.path("ready");
    // Wine delivers no CTRL_BREAK to a handler, so the job would wait for the whole grace period.
    let grace = if is_wine() { "1s" } else { "60s" };
    let id = setup.launch(&["--grace", grace], &["wait-for-term", &ready, ",", "exit", "0"]);
    setup.wait_for_file("ready");
    assert_eq!(kind(&setup.kill(&id)), "killed");
}

#[test]
fn a_killed_job_leaves_no_process_and_no_follow_up() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["sleep", "MARK"]);
    setup.wait_for_marked(1);
    let job = setup.kill(&id);
    assert_eq!(job["outcome"], json!({"kind": "killed", "reason": "session"}));
    assert_eq!(job["follow_up"]["state"], "suppressed");
    assert_eq!(setup.home.marked(), []);
    assert_eq!(setup.run(&["wait", &id]).status, Some(125));
}

#[test]
fn a_kill_after_the_end_changes_nothing() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["exit", "8"]);
    let id = job["id"].as_str().expect("an id");
    setup.run(&["kill", id]);
    assert_eq!(setup.job(id), job);
}

#[test]
fn all_jobs_of_a_session_are_killed_at_once() {
    let setup = Setup::new();
    let own: Vec<String> = (0..3).map(|_| setup.launch(&["--session", "chat"], &["sleep", "MARK"])).collect();
    let other = setup.launch(&["--session", "other"], &["sleep", "MARK"]);
    setup.wait_for_marked(4);
    let killed = setup.run(&["kill", "--all", "--session", "chat"]);
    assert_eq!(killed.status, Some(0), "{killed:?}");
    for id in &own {
        assert_eq!(kind(&setup.job(id)), "killed");
    }
    assert_eq!((setup.home.marked().len(), &setup.job(&other)["state"]), (1, &json!("running")));
    setup.kill(&other);
}

#[test]
fn a_wait_that_expires_leaves_the_job_running() {
    let setup = Setup::new();
    let go = setup.path("go");
    let actions = ["wait-for-file", &go, ",", "exit", "3"];
    let waited = setup.run(&setup.run_words(&["--wait=50ms"], &actions));
    assert_eq!(waited.status, Some(75), "{waited:?}");
    let again = setup.run(&["wait", "last", "--timeout", "50ms"]);
    assert_eq!(again.status, Some(75), "{again:?}");
    setup.create("go");
    assert_eq!(code(&setup.end_of("last")), 3);
}

#[test]
fn a_wait_returns_when_the_first_job_ends() {
    let setup = Setup::new();
    let slow = setup.launch(&[], &["sleep", "MARK"]);
    let go = setup.path("go");
    let quick = setup.launch(&[], &["wait-for-file", &go]);
    let waiting = Running::start(&mut setup.command(&["wait", "--any", &slow, &quick]));
    setup.create("go");
    assert_eq!(waiting.end().code(), Some(0));
    assert_eq!(setup.job(&slow)["state"], "running");
    setup.kill(&slow);
}
