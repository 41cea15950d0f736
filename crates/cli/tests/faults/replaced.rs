//! A home or a ledger that replaces the one that a process has open, and ledgers that a newer program wrote.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homing::{
    Error, FollowUpState, Homing, JobId, JobSpec, KilledBy, ListOptions, MonitorOptions, Outcome, StateName,
};
use rusqlite::Connection;
use testkit::{TempHome, WAIT_TIMEOUT, wait_until};

use crate::evidence::{ids, names_in};
use crate::ledger::write_back_the_log;
use crate::setup::{Setup, open, outcome};

fn ledger(home: &TempHome) -> PathBuf {
    home.path().join("ledger.db")
}

fn connect(home: &TempHome) -> Connection {
    Connection::open(ledger(home)).expect("the ledger opens")
}

fn listed(homing: &Homing) -> Vec<JobId> {
    ids(&homing.list(&ListOptions::default()).expect("a list"))
}

fn assert_nothing_set_aside(home: &TempHome) {
    let names = names_in(&home.path());
    assert!(names.iter().all(|name| !name.contains("damaged")), "{names:?}");
}

/// How an older ledger replaces the open one.
#[derive(Clone, Copy, Debug)]
enum Restore {
    /// Another file gets its name.
    Renamed,
    /// It is removed, and a new file written.
    RemovedAndCopied,
    /// The same file gets the older content.
    Overwritten,
}

#[test]
fn jobs_that_an_older_ledger_does_not_know_are_found_again() {
    for restore in [Restore::Renamed, Restore::RemovedAndCopied, Restore::Overwritten] {
        let setup = Setup::new();
        let mut all: Vec<JobId> = (0..4).map(|code| setup.run(&format!("exit {code}")).id).collect();
        assert_eq!(listed(&setup.homing).len(), 4);
        write_back_the_log(&setup.home);
        let backup = setup.scratch("backup");
        fs::copy(ledger(&setup.home), &backup).expect("a copy");
        all.extend((4..9).map(|code| setup.run(&format!("exit {code}")).id));
        all.reverse();
        assert_eq!(listed(&setup.homing), all);
        write_back_the_log(&setup.home);
        match restore {
            Restore::Renamed => fs::rename(&backup, ledger(&setup.home)).expect("it is put there"),
            Restore::RemovedAndCopied => {
                fs::remove_file(ledger(&setup.home)).expect("it was there");
                fs::copy(&backup, ledger(&setup.home)).expect("a copy");
            }
            Restore::Overwritten => {
                fs::write(ledger(&setup.home), fs::read(&backup).expect("it")).expect("it is written");
            }
        }
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", ledger(&setup.home).display()));
        }
        assert_eq!(listed(&open(&setup.home, WAIT_TIMEOUT)), all, "{restore:?}, opened anew");
        assert_eq!(listed(&setup.homing), all, "{restore:?}, under an open process");
        assert_nothing_set_aside(&setup.home);
    }
}

#[test]
fn an_older_ledger_under_a_running_monitor_loses_no_job() {
    let setup = Setup::new();
    let delivered: Arc<Mutex<Vec<JobId>>> = Arc::default();
    struct Recorder(Arc<Mutex<Vec<JobId>>>);
    impl homing::Sink for Recorder {
        fn deliver(&self, wake: &homing::Wake) -> homing::Delivery {
            self.0.lock().expect("no panic").extend(&wake.content.job_ids);
            homing::Delivery::Delivered
        }
    }
    let homing = Arc::new(open(&setup.home, WAIT_TIMEOUT));
    let options = MonitorOptions::new().sink("test", Recorder(Arc::clone(&delivered))).route("*", "test");
    let monitor = homing.monitor(options).expect("a monitor");
    let handle = monitor.handle();
    let running = std::thread::spawn(move || monitor.run());
    let are_told = |count: usize| {
        wait_until(&format!("{count} jobs are delivered"), || {
            let mut delivered = delivered.lock().expect("no panic").clone();
            delivered.sort_unstable();
            delivered.dedup();
            delivered.len() == count
        });
    };
    setup.run("exit 1");
    are_told(1);
    let backup = setup.scratch("backup");
    connect(&setup.home).execute("VACUUM INTO ?1", [backup.to_str().expect("text")]).expect("a copy");
    let go = setup.scratch("go");
    for _ in 0..5 {
        setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done", go.display()));
    }
    wait_until("the monitor knows all of them", || {
        let count: i64 = connect(&setup.home)
            .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
            .expect("a number");
        count == 6
    });
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", ledger(&setup.home).display()));
    }
    fs::rename(&backup, ledger(&setup.home)).expect("it is put there");
    fs::write(&go, "").expect("a file");
    are_told(6);
    handle.stop();
    running.join().expect("no panic").expect("it ends");
}

#[test]
fn a_process_with_a_replaced_home_refuses_and_reports_no_job_as_lost() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    assert_eq!(listed(&setup.homing), [id]);
    let path = setup.home.path();
    let away = setup.scratch("away");
    fs::rename(&path, &away).expect("it is renamed");
    let new = open(&setup.home, WAIT_TIMEOUT);
    let in_new = new.launch(JobSpec::script(format!("exec sleep {}", setup.home.mark())).expect("a script"));
    let in_new = in_new.expect("a launch").id;
    assert_eq!(listed(&new), [in_new]);

    let is_stale = |what: &str, error: Option<Error>| {
        let error = error.unwrap_or_else(|| panic!("{what} was done in a stale home"));
        assert!(matches!(error, Error::HomeReplaced { .. }), "{what}: {error}");
        assert!(error.to_string().contains(path.to_str().expect("text")) && error.hint().is_some());
    };
    is_stale("list", setup.homing.list(&ListOptions::default()).err());
    is_stale("get", setup.homing.get(id).err());
    is_stale("launch", setup.homing.launch(JobSpec::script("true").expect("a script")).err());
    is_stale("kill", setup.homing.kill(id, KilledBy::Operator).err());
    is_stale("prune", setup.homing.prune(Duration::ZERO).err());
    is_stale("full_scan", setup.homing.full_scan().err());
    let job = new.get(in_new).expect("it is known");
    assert_eq!(job.state.name(), StateName::Running, "{job:#?}");

    new.kill(in_new, KilledBy::Operator).expect("it ends");
    fs::remove_dir_all(&path).expect("it is removed");
    fs::rename(&away, &path).expect("it is put back");
    assert_eq!(setup.homing.get(id).expect("it is back").state.name(), StateName::Running);
    let killed = setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert_eq!(outcome(&killed), &Outcome::Killed { by: KilledBy::Operator });
}

#[test]
fn a_monitor_ends_with_the_reason_when_its_home_is_renamed_away() {
    let setup = Setup::new();
    setup.run("true");
    let homing = Arc::new(open(&setup.home, WAIT_TIMEOUT));
    let monitor = homing.monitor(MonitorOptions::new()).expect("a monitor");
    let running = std::thread::spawn(move || monitor.run());
    wait_until("it is active", || setup.homing.active_monitor().expect("a home").is_some());
    fs::rename(setup.home.path(), setup.scratch("away")).expect("it is renamed");
    let error = running.join().expect("no panic").expect_err("it ends");
    assert!(matches!(error, Error::HomeReplaced { .. }), "{error}");
}

#[test]
fn a_long_running_process_never_sets_a_newer_ledger_aside() {
    let setup = Setup::new();
    let id = setup.run("exit 1").id;
    setup.homing.acknowledge(&[id]).expect("it has finished");
    // What a newer program may do while this process has the ledger open.
    connect(&setup.home)
        .execute_batch(
            "BEGIN; ALTER TABLE follow_ups RENAME COLUMN state TO standing; ALTER TABLE meta RENAME TO notes;
             PRAGMA user_version = 99; COMMIT",
        )
        .expect("it can be changed");
    for _ in 0..2 {
        match setup.homing.list(&ListOptions::default()) {
            Err(Error::LedgerTooNew { found: 99, .. }) => {}
            other => panic!("{other:#?}"),
        }
        assert!(matches!(setup.homing.acknowledge(&[id]), Err(Error::LedgerTooNew { .. })));
    }
    assert_nothing_set_aside(&setup.home);
    connect(&setup.home)
        .execute_batch(
            "BEGIN; ALTER TABLE follow_ups RENAME COLUMN standing TO state; ALTER TABLE notes RENAME TO meta;
             PRAGMA user_version = 9; COMMIT",
        )
        .expect("it can be changed back");
    let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
    assert_eq!(jobs[0].follow_up.state, FollowUpState::Acknowledged, "nothing got lost");
}

#[test]
fn a_row_of_a_newer_program_is_reported_and_not_changed() {
    for change in [
        "UPDATE jobs SET state = 'queued', finished = NULL WHERE id = ?1",
        "UPDATE follow_ups SET state = 'noticed' WHERE job = (SELECT seq FROM jobs WHERE id = ?1)",
        "UPDATE jobs SET spec = replace(spec, 'homing.spec/1', 'homing.spec/9') WHERE id = ?1",
        "UPDATE jobs SET finished = replace(finished, '\"exited\"', '\"evaporated\"') WHERE id = ?1",
    ] {
        let setup = Setup::new();
        let [known, newer] = [0, 1].map(|code| setup.run(&format!("exit {code}")).id);
        assert_eq!(listed(&setup.homing).len(), 2);
        setup.homing.acknowledge(&[known]).expect("it has finished");
        connect(&setup.home).execute(change, [newer.as_str()]).expect("no CHECK stands in the way");
        let row = |home: &TempHome| -> Vec<Option<String>> {
            connect(home)
                .query_row(
                    "SELECT jobs.state, spec, finished, follow_ups.state FROM jobs JOIN follow_ups ON job = seq
                     WHERE id = ?1",
                    [newer.as_str()],
                    |row| (0..4).map(|column| row.get(column)).collect(),
                )
                .expect("its row")
        };
        let before = row(&setup.home);

        let listing = setup.homing.listing(&ListOptions::default()).expect("a list");
        assert_eq!(ids(&listing.jobs), [known], "{change}");
        assert_eq!(listing.unsupported.iter().map(|job| job.id).collect::<Vec<_>>(), [newer], "{change}");
        match setup.homing.get(newer) {
            Err(Error::Unsupported { job, .. }) => assert_eq!(job, newer),
            other => panic!("{change}: {other:#?}"),
        }
        let output = setup.program().arg("list").output().expect("the program runs");
        let note = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success() && note.contains(newer.as_str()), "{note}");
        setup.homing.full_scan().expect("a scan");
        setup.homing.prune(Duration::ZERO).expect("it can be pruned");
        setup.homing.doctor().expect("it reads every job");
        let homing = Arc::new(open(&setup.home, WAIT_TIMEOUT));
        let options = MonitorOptions::new().until(homing::MonitorUntil::Idle);
        homing.monitor(options).expect("a monitor").run().expect("it ends by itself");
        assert_eq!(row(&setup.home), before, "{change}");
        assert!(setup.home.path().join("jobs").join(newer.as_str()).join("spec.json").exists(), "{change}");
        assert_nothing_set_aside(&setup.home);
    }
}
