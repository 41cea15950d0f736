//! Pruning: which jobs, when, and by which process; with follow-ups that were never delivered, and with files that
//! cannot be removed.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use homing::{
    Config, FollowUpState, Homing, JobId, ListOptions, MonitorOptions, MonitorUntil, OpenOptions,
    PruneOptions,
};
use rusqlite::Connection;
use testkit::{TempHome, WAIT_TIMEOUT, wait_until};

use crate::evidence::{ids, json, names_in};
use crate::setup::{PROGRAM, Setup, open};

const DAY_MS: i64 = 86_400_000;

fn connect(home: &TempHome) -> Connection {
    Connection::open(home.path().join("ledger.db")).expect("the ledger opens")
}

/// Moves the times of jobs, follow-ups and the last pruning into the past.
fn age(home: &TempHome, days: i64) {
    let by = days * DAY_MS;
    connect(home)
        .execute_batch(&format!(
            "UPDATE jobs SET ended_at = ended_at - {by};
             UPDATE follow_ups SET due_at = due_at - {by}, expired_at = expired_at - {by};
             UPDATE meta SET value = value - {by} WHERE name = 'pruned_at';"
        ))
        .expect("it can be changed");
}

fn monitor_until_idle(home: &TempHome) {
    let homing = Arc::new(open(home, WAIT_TIMEOUT));
    let monitor = homing.monitor(MonitorOptions::new().until(MonitorUntil::Idle)).expect("a monitor");
    monitor.run().expect("it ends by itself");
}

fn listed(homing: &Homing) -> Vec<JobId> {
    ids(&homing.list(&ListOptions::default()).expect("a list"))
}

#[test]
fn undelivered_follow_ups_expire_are_listed_and_are_pruned_without_a_route() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    wait_until("its supervisor is gone", || setup.home.processes().is_empty());
    let state = || setup.homing.get(id).expect("it is kept").follow_up;
    assert_eq!(state().state, FollowUpState::Pending);
    age(&setup.home, 29);
    monitor_until_idle(&setup.home);
    assert_eq!(state().state, FollowUpState::Pending, "30 days have not passed");
    age(&setup.home, 2);
    monitor_until_idle(&setup.home);
    let expired = state();
    assert_eq!(expired.state, FollowUpState::Dead);
    assert!(expired.last_error.is_some_and(|reason| reason.contains("expired")));
    age(&setup.home, 6);
    monitor_until_idle(&setup.home);
    assert_eq!(listed(&setup.homing), [id], "it is shown for another week");
    age(&setup.home, 2);
    monitor_until_idle(&setup.home);
    assert_eq!(listed(&setup.homing), []);
    assert_eq!(names_in(&setup.home.path().join("jobs")), [""; 0]);
}

#[test]
fn a_retried_follow_up_gets_its_full_lifetime_again() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    listed(&setup.homing);
    age(&setup.home, 31);
    assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be pruned").expired, 1);
    setup.homing.retry(&[id]).expect("it can be retried");
    let report = setup.homing.prune(Duration::ZERO).expect("it can be pruned");
    assert_eq!((report.expired, report.removed), (0, vec![]));
    assert_eq!(setup.homing.get(id).expect("it is kept").follow_up.state, FollowUpState::Pending);
}

#[test]
fn a_monitor_prunes_at_its_start_however_often_it_is_started_and_a_launch_never_does() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    setup.homing.acknowledge(&[id]).expect("it has finished");
    monitor_until_idle(&setup.home);
    age(&setup.home, 8);
    let other = setup.run("true").id;
    wait_until("their supervisors are gone", || setup.home.processes().is_empty());
    assert_eq!(listed(&setup.homing), [other, id], "neither a launch nor a reader prunes");
    monitor_until_idle(&setup.home);
    assert_eq!(listed(&setup.homing), [other]);
}

#[test]
fn a_job_whose_files_cannot_be_removed_keeps_its_row_and_is_named() {
    let setup = Setup::new();
    let [stays, goes] = [0, 1].map(|code| setup.run(&format!("echo hello; exit {code}")).id);
    setup.homing.acknowledge(&[stays, goes]).expect("they have finished");
    let planted = setup.home.path().join("jobs").join(stays.as_str()).join("planted");
    fs::create_dir(&planted).expect("a directory");
    wait_until("their supervisors are gone", || setup.home.processes().is_empty());
    let report = setup.homing.prune(Duration::ZERO).expect("it can be pruned");
    assert_eq!(report.removed, [goes]);
    assert_eq!(report.failed.iter().map(|(job, _)| *job).collect::<Vec<_>>(), [stays]);
    assert!(report.failed[0].1.contains("planted"), "{report:?}");
    assert_eq!(listed(&setup.homing), [stays]);
    assert!(setup.homing.result_text(stays).expect("its output is kept").contains("hello"));
    let output = setup.program().args(["prune", "--older-than", "0s", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains(stays.as_str()), "{output:?}");
    fs::remove_dir(planted).expect("it is there");
    assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be pruned").removed, [stays]);
}

#[test]
fn a_dry_run_lists_what_would_be_removed_and_removes_nothing() {
    let setup = Setup::new();
    let [acknowledged, undelivered] = [0, 1].map(|code| setup.run(&format!("exit {code}")).id);
    setup.homing.acknowledge(&[acknowledged]).expect("it has finished");
    wait_until("their supervisors are gone", || setup.home.processes().is_empty());
    age(&setup.home, 31);
    let options = PruneOptions { dry_run: true, ..PruneOptions::default() };
    let report = setup.homing.prune_with(&options).expect("it reads every job");
    assert_eq!((report.removed, report.expired), (vec![acknowledged], 1));
    let output = setup.program().args(["prune", "--dry-run", "--json"]).output().expect("it runs");
    let document = json(&output);
    assert_eq!(document["dry_run"], true);
    assert_eq!(document["removed"][0], acknowledged.as_str());
    assert_eq!(listed(&setup.homing), [undelivered, acknowledged]);
    assert_eq!(setup.homing.get(undelivered).expect("it").follow_up.state, FollowUpState::Pending);
}

#[test]
fn a_prune_that_dies_between_files_and_rows_is_finished_by_the_next() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    setup.homing.acknowledge(&[id]).expect("it has finished");
    wait_until("its supervisor is gone", || setup.home.processes().is_empty());
    let mut prune = setup.program();
    prune.args(["prune", "--older-than", "0s"]).env("FAILPOINTS", "prune/files_removed=return");
    assert!(!prune.output().expect("it runs").status.success(), "it must crash");
    assert_eq!(names_in(&setup.home.path().join("jobs")), [""; 0]);
    let job = setup.homing.get(id).expect("its row is kept");
    assert_eq!(job.follow_up.state, FollowUpState::Acknowledged, "it is not delivered again");
    assert_eq!(setup.homing.prune(Duration::ZERO).expect("it can be pruned").removed, [id]);
}

#[test]
fn a_removal_that_dies_between_files_and_rows_is_finished_by_the_next() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    setup.homing.acknowledge(&[id]).expect("it has finished");
    let mut remove = setup.program();
    remove.args(["remove", id.as_str()]).env("FAILPOINTS", "remove/files_removed=return");
    assert!(!remove.output().expect("it runs").status.success(), "it must crash");
    assert_eq!(names_in(&setup.home.path().join("jobs")), [""; 0]);
    let job = setup.homing.get(id).expect("its row is kept");
    assert_eq!(job.follow_up.state, FollowUpState::Acknowledged, "it is not delivered again");
    let removed = setup.homing.remove(&[id]).expect("it can be removed");
    assert_eq!(removed.iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
    assert!(listed(&setup.homing).is_empty());
}

#[test]
fn many_jobs_are_pruned_in_batches_and_doctor_lists_pending_follow_ups_by_session() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    listed(&setup.homing);
    let connection = connect(&setup.home);
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
             INSERT INTO jobs (id, session, state, ended_at, spec, started, finished, output_kept)
             SELECT printf('%012x', i), 'other', 'finished', ended_at, spec, started, finished, 1000000 FROM n, jobs;
             INSERT INTO follow_ups (job, session, state, due_at)
             SELECT seq, session, 'pending', ended_at FROM jobs WHERE session = 'other';",
        )
        .expect("rows");
    let checks = setup.homing.doctor().expect("it reads every job");
    let waiting = checks.iter().find(|check| check.name == "undelivered").expect("it says");
    assert!(
        waiting.detail.contains("1201 finished jobs")
            && waiting.detail.contains("other: 1200 jobs, 1214.7 MB"),
        "{}",
        waiting.detail
    );
    connection
        .execute_batch("UPDATE follow_ups SET state = 'acknowledged' WHERE session = 'other'")
        .expect("it");
    let report = setup.homing.prune(Duration::ZERO).expect("it can be pruned");
    assert_eq!(report.removed.len(), 1200);
    assert_eq!(listed(&setup.homing), [id]);
}

#[test]
fn the_upper_age_of_a_follow_up_can_be_configured() {
    let setup = Setup::new();
    setup.run("exit 1");
    listed(&setup.homing);
    age(&setup.home, 2);
    let mut config = Config::default();
    config.retention.undelivered = Duration::from_secs(86_400);
    let homing = OpenOptions::new().home(setup.home.path()).config(config).supervisor(PROGRAM).open();
    assert_eq!(homing.expect("it opens").prune(Duration::ZERO).expect("it can be pruned").expired, 1);
}
