//! The record and the lock: what is known of a job when its supervisor or the ledger is lost.

use std::fs::{self, File, TryLockError};

use serde_json::Value;

use crate::setup::{Setup, code, kind};

/// Whether another process holds the lock of a job. A supervisor may remove the file when the job has finished.
fn is_locked(setup: &Setup, id: &str) -> bool {
    let path = setup.home.path().join("jobs").join(id).join("lock");
    let Ok(file) = File::options().read(true).write(true).open(path) else { return false };
    match file.try_lock() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => panic!("{error}"),
    }
}

#[test]
fn the_lock_says_whether_a_supervisor_lives() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["sleep", "MARK"]);
    assert!(is_locked(&setup, &id));
    assert_eq!(setup.job(&id)["state"], "running");
    setup.kill(&id);
    testkit::wait_until("the supervisor has ended", || setup.home.processes().is_empty());
    assert!(!is_locked(&setup, &id));
}

#[test]
fn a_job_whose_supervisor_was_killed_is_lost_and_reported() {
    let setup = Setup::new();
    let id = setup.launch(&["--session", "chat"], &["print", "before", ",", "sleep", "MARK"]);
    testkit::wait_until("it has printed", || setup.output(&id) == b"before\n");
    let job = setup.lose(&id);
    assert_eq!((kind(&job), &job["outcome"]["reason"]), ("lost", &"supervisor_died".into()));
    assert_eq!((&job["succeeded"], &job["follow_up"]["state"]), (&false.into(), &"pending".into()));
    assert_eq!(setup.home.marked(), []);
    assert_eq!(setup.run(&["wait", &id, "--session", "chat"]).status, Some(125));
}

#[test]
fn reading_a_lost_job_changes_nothing() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["sleep", "MARK"]);
    setup.wait_for_marked(1);
    let supervisor = setup.supervisor(&id).pid;
    testkit::kill(supervisor);
    setup.end_of(&id);
    let record = setup.home.path().join("jobs").join(&id).join("record");
    let before = fs::read(&record).expect("the record");
    for arguments in [&["list"][..], &["show", &id], &["output", &id]] {
        assert_eq!(setup.run(arguments).status, Some(0));
    }
    assert_eq!(fs::read(&record).expect("the record"), before);
    assert_eq!(setup.run(&["recover"]).status, Some(0));
    testkit::wait_until("the rest of the job is gone", || setup.home.marked().is_empty());
}

#[test]
fn no_look_at_a_job_that_ends_shows_a_wrong_exit_code() {
    let setup = Setup::new();
    for _ in 0..10 {
        let id = setup.launch(&[], &["exit", "7"]);
        loop {
            let job = setup.job(&id);
            if job["state"] == "finished" {
                assert_eq!(code(&job), 7);
                break;
            }
            assert_eq!(job["outcome"], Value::Null);
        }
    }
}

#[test]
fn a_job_ended_when_its_process_did_and_not_when_it_was_read() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["exit", "0"]);
    testkit::wait_until("job and supervisor are gone", || setup.home.processes().is_empty());
    let gone = jiff::Timestamp::now();
    let job = setup.job(&id);
    let ended: jiff::Timestamp = job["ended_at"].as_str().expect("a time").parse().expect("a time");
    assert!(ended <= gone, "{job:#}");
    assert_eq!(setup.job(&id)["ended_at"], job["ended_at"]);
}

/// The files of the ledger.
fn ledger(setup: &Setup) -> Vec<std::path::PathBuf> {
    let entries =
        fs::read_dir(setup.home.path()).expect("a home").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ledger.db")))
        .collect()
}

#[test]
fn a_torn_ledger_loses_no_job() {
    let setup = Setup::new();
    let before: Vec<Value> = (0..6).map(|code| setup.finished(&[], &["exit", &code.to_string()])).collect();
    for file in ledger(&setup) {
        let half = fs::metadata(&file).expect("a file").len() / 2;
        File::options().write(true).open(&file).expect("it opens").set_len(half).expect("it is cut");
    }
    for job in &before {
        assert_eq!(setup.job(job["id"].as_str().expect("an id"))["outcome"], job["outcome"]);
    }
    assert_eq!(setup.jobs().len(), 6);
    assert!(setup.jobs().iter().all(|job| job["follow_up"]["state"] == "pending"));
}

#[test]
fn a_deleted_ledger_is_built_again() {
    let setup = Setup::new();
    let running = setup.launch(&[], &["sleep", "MARK"]);
    let finished = setup.finished(&["--name", "done"], &["exit", "4"]);
    for file in ledger(&setup) {
        fs::remove_file(file).expect("it is removed");
    }
    assert_eq!(setup.job(finished["id"].as_str().expect("an id"))["outcome"], finished["outcome"]);
    assert_eq!(setup.job("done")["id"], finished["id"]);
    assert_eq!(setup.jobs().len(), 2);
    assert_eq!(kind(&setup.kill(&running)), "killed");
}

#[test]
fn a_full_inbox_is_read_completely() {
    let setup = Setup::new();
    let ids: Vec<String> = (0..30).map(|_| setup.launch(&[], &["exit", "1"])).collect();
    testkit::wait_until("all have ended", || setup.home.processes().is_empty());
    // Entries that name no job, as a crashed or foreign program may leave them.
    let inbox = setup.home.path().join("inbox");
    for number in 0..2_000 {
        fs::write(inbox.join(format!("stranger-{number}")), "").expect("an entry");
    }
    let jobs = setup.jobs();
    assert_eq!(jobs.len(), ids.len());
    assert!(jobs.iter().all(|job| code(job) == 1 && job["follow_up"]["state"] == "pending"), "{jobs:#?}");
    assert_eq!(setup.run(&["prune"]).status, Some(0));
}
