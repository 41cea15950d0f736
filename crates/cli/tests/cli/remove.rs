//! `homing remove` deletes finished and acknowledged jobs, and never ends one.

use serde_json::json;

use crate::setup::Setup;

#[test]
fn only_finished_and_acknowledged_jobs_are_deleted() {
    let setup = Setup::new();
    let running = setup.launch("sleep MARK");
    let pending = setup.finished("echo kept");
    let read = setup.finished("echo read");
    assert_eq!(setup.run(&["ack", &read]).status, Some(0));

    for (id, message, hint) in [
        (&running, "it is running", format!("run `homing kill {running}` first")),
        (
            &pending,
            "its result is not acknowledged (follow-up pending)",
            format!("run `homing result {pending}` to read it, or `homing ack {pending}`, then try again"),
        ),
    ] {
        // The other job stays too.
        let answer = setup.run(&["rm", &read, id]);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(1), ""));
        assert_eq!(
            answer.stderr,
            format!("homing: error: cannot delete job {id}: {message}\nhint: {hint}\n")
        );
        let answer = setup.run(&["rm", id, "--json"]);
        assert_eq!(answer.json()["error"]["code"], "not_removable");
    }
    assert_eq!(setup.job(&running)["state"], "running");
    assert_eq!(setup.run(&["output", &pending]).stdout, "kept\n");

    let answer = setup.run(&["remove", &read]);
    assert_eq!((answer.status, answer.stdout), (Some(0), format!("{read}  deleted\n")));
    assert_eq!(setup.run(&["show", &read]).status, Some(3));
    assert!(!setup.home.path().join("jobs").join(&read).exists());
    setup.kill(&running);
    // A session that kills its own job is not notified.
    assert_eq!(setup.run(&["rm", &running, "--json"]).json(), json!({"removed": [running]}));
}

#[test]
fn a_job_that_kept_processes_is_not_deleted() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--leftovers", "keep", "--follow-up", "never"], "sleep MARK & exit 0");
    let answer = setup.run(&["rm", &id]);
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.contains("processes that it left may still run"), "{answer:?}");
    setup.kill(&id);
    assert_eq!(setup.run(&["rm", &id]).status, Some(0));
}

#[test]
fn all_deletes_what_may_be_deleted_in_one_session() {
    let setup = Setup::new();
    let done = |session: &str| setup.finished_with(&["-s", session, "--follow-up", "never"], "true");
    let (first, second, others) = (done("a"), done("a"), done("b"));
    let pending = setup.finished_with(&["-s", "a"], "true");
    let document = setup.run_as("a", &["rm", "--all", "--json"]).json();
    assert_eq!(document, json!({"removed": [second, first]}));
    for kept in [others, pending] {
        assert_eq!(setup.run(&["show", &kept]).status, Some(0));
    }
    let answer = setup.run_as("a", &["rm", "--all"]);
    assert_eq!(answer.stderr, "homing: no jobs that may be deleted in session a\n");
}

#[test]
fn two_deletions_at_once_both_end() {
    let setup = Setup::new();
    let ids: Vec<String> = (0..8).map(|_| setup.finished_with(&["--follow-up", "never"], "true")).collect();
    let removing: Vec<_> = (0..4)
        .map(|_| {
            let mut command = setup.command(&["rm", "--all"]);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().expect("the program runs")
        })
        .collect();
    for child in removing {
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        // One that comes too late finds its jobs gone.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{stderr}");
    }
    for id in ids {
        assert_eq!(setup.run(&["show", &id]).status, Some(3));
    }
}
