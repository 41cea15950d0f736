//! Ledgers that are locked, damaged, missing, too new, or written by many processes at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use homing::{Error, FollowUpOptions, FollowUpState, Homing, Job, JobId, KilledBy, ListOptions, Outcome};
use rusqlite::Connection;
use testkit::{TempHome, WAIT_TIMEOUT, skip, wait_until};

use crate::evidence::{ids, list, names_in, noise, refusal};
use crate::setup::{Setup, open, outcome, stdout};

fn ledger(home: &TempHome) -> PathBuf {
    home.path().join("ledger.db")
}

/// A connection to the ledger that does not belong to homing.
fn connect(home: &TempHome) -> Connection {
    Connection::open(ledger(home)).expect("the ledger opens")
}

fn all_of(homing: &Homing) -> Vec<Job> {
    homing.list(&ListOptions::default()).expect("a list")
}

#[test]
fn a_locked_ledger_delays_no_job_and_list_explains_how_to_find_the_lock_holder() {
    for lock in ["BEGIN IMMEDIATE", "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"] {
        let setup = Setup::new();
        let before = setup.run("exit 1").id;
        let go = setup.scratch("go");
        let script = format!("until [ -e {} ]; do sleep 0.01; done; exit 2", go.display());
        let running = setup.launch(&script).id;
        assert_eq!(ids(&all_of(&setup.homing)), [running, before]);

        // homing does not have it open when it is locked.
        let Setup { homing, home } = setup;
        drop(homing);
        let setup = Setup { homing: open(&home, WAIT_TIMEOUT), home };
        let short_timeout = open(&setup.home, Duration::from_millis(50));
        let connection = connect(&setup.home);
        connection.execute_batch(lock).expect("it can be locked");
        // The exclusive lock is taken with the first read or write.
        let _: i64 =
            connection.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0)).expect("a number");

        let ran = setup.scratch("ran");
        let launched = setup.launch(&format!("echo ran >> {}; exit 3", ran.display())).id;
        let by_program =
            setup.program().args(["run", &format!("echo ran >> {}; exit 4", ran.display())]).output();
        let by_program: JobId = stdout(&by_program.expect("the program runs")).parse().expect("an id");
        fs::write(&go, "").expect("a file");
        wait_until("all of them have finished", || setup.home.processes().is_empty());
        assert_eq!(fs::read_to_string(&ran).expect("they ran"), "ran\nran\n");

        match short_timeout.list(&ListOptions::default()) {
            Err(error @ Error::LedgerBusy { .. }) => {
                let hint = error.hint().expect("a hint").to_string();
                assert!(
                    hint.contains("fuser") && hint.contains(ledger(&setup.home).to_str().expect("text")),
                    "{hint}"
                );
            }
            other => panic!("{lock}: {other:#?}"),
        }
        let jobs = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| all_of(&setup.homing));
            drop(connection);
            waiting.join().expect("it waits, and then lists them")
        });
        assert_eq!(ids(&jobs), [by_program, launched, running, before]);
        let codes: Vec<&Outcome> = jobs.iter().map(outcome).collect();
        assert_eq!(
            codes,
            [4, 3, 2, 1].map(|exit_code| Outcome::Exited { exit_code }).iter().collect::<Vec<_>>()
        );
        assert!(jobs.iter().all(|job| job.follow_up.state == FollowUpState::Pending), "{jobs:#?}");
        assert_eq!(set_aside(&setup.home), [""; 0], "a locked ledger is no damaged one");
    }
}

/// The names of the files that were set aside.
fn set_aside(home: &TempHome) -> Vec<String> {
    names_in(&home.path()).into_iter().filter(|name| name.contains("damaged")).collect()
}

/// A kind of damage to the file of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// All of it becomes noise of the same length.
    Noise,
    /// It keeps its first page, and everything else becomes noise.
    NoiseBehindTheFirstPage,
    /// Its last half is cut off.
    Cut,
    /// Only a part of its first page is left.
    Stump,
    /// It is empty.
    Emptied,
    /// It is removed.
    Deleted,
    /// It, its log and its index are removed.
    DeletedWithItsLog,
    /// A database of another program has its name.
    Foreign,
    /// The same, with the version number of homing.
    ForeignOfOurVersion,
    /// The same, with an older version number of homing.
    ForeignOfAnOlderVersion,
}

impl Damage {
    const ALL: [Damage; 10] = [
        Damage::Noise,
        Damage::NoiseBehindTheFirstPage,
        Damage::Cut,
        Damage::Stump,
        Damage::Emptied,
        Damage::Deleted,
        Damage::DeletedWithItsLog,
        Damage::Foreign,
        Damage::ForeignOfOurVersion,
        Damage::ForeignOfAnOlderVersion,
    ];

    /// Whether the damaged file has content that must be set aside.
    fn leaves_something(self) -> bool {
        match self {
            Damage::Noise
            | Damage::NoiseBehindTheFirstPage
            | Damage::Cut
            | Damage::Stump
            | Damage::Foreign
            | Damage::ForeignOfOurVersion
            | Damage::ForeignOfAnOlderVersion => true,
            Damage::Emptied | Damage::Deleted | Damage::DeletedWithItsLog => false,
        }
    }

    fn strike(self, path: &Path) {
        let bytes = fs::read(path).expect("the ledger");
        let write = |bytes: &[u8]| fs::write(path, bytes).expect("it can be written");
        match self {
            Damage::Noise => write(&noise(bytes.len())),
            Damage::NoiseBehindTheFirstPage => write(&[&bytes[..4096], &noise(bytes.len() - 4096)].concat()),
            Damage::Cut => write(&bytes[..bytes.len() / 2]),
            Damage::Stump => write(&bytes[..500]),
            Damage::Emptied => write(&[]),
            Damage::Deleted => fs::remove_file(path).expect("it is there"),
            Damage::DeletedWithItsLog => {
                for suffix in ["", "-wal", "-shm"] {
                    // The last process that closed the ledger may have removed them.
                    let _ = fs::remove_file(format!("{}{suffix}", path.display()));
                }
            }
            Damage::Foreign | Damage::ForeignOfOurVersion | Damage::ForeignOfAnOlderVersion => {
                let foreign = path.with_file_name("foreign.db");
                let version = match self {
                    Damage::ForeignOfOurVersion => 5,
                    Damage::ForeignOfAnOlderVersion => 1,
                    _ => 0,
                };
                let connection = Connection::open(&foreign).expect("a database");
                let sql = format!(
                    "CREATE TABLE precious (value); INSERT INTO precious VALUES (42); PRAGMA user_version = {version}"
                );
                connection.execute_batch(&sql).expect("a table");
                drop(connection);
                fs::rename(foreign, path).expect("it gets the path of the ledger");
            }
        }
    }
}

/// Five finished jobs, the oldest acknowledged, and one running job, in a ledger whose log is empty.
fn filled() -> (Setup, Vec<Job>, PathBuf) {
    let setup = Setup::new();
    for code in 0..5 {
        setup.run(&format!("echo job {code}; exit {code}"));
    }
    let go = setup.scratch("go");
    setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; exit 9", go.display()));
    let jobs = all_of(&setup.homing);
    assert_eq!(jobs.len(), 6);
    (setup, jobs, go)
}

/// Writes all pages into the file of the ledger, and empties its log.
pub(crate) fn write_back_the_log(home: &TempHome) {
    let connection = connect(home);
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("it is");
    assert_eq!(busy, 0);
}

/// Asserts that the ledger was rebuilt: it has the same jobs in the same order, and running jobs continue.
fn assert_rebuilt(setup: &Setup, front_ends: &[&Homing], before: &[Job], go: &Path, what: &str) {
    for front_end in front_ends {
        assert_eq!(all_of(front_end), before, "{what}");
    }
    fs::write(go, "").expect("a file");
    let running = &before[0];
    wait_until("it has finished", || setup.home.processes().is_empty());
    let new = setup.run("exit 8").id;
    for front_end in front_ends {
        let jobs = all_of(front_end);
        let expected: Vec<JobId> = std::iter::once(new).chain(ids(before)).collect();
        assert_eq!(ids(&jobs), expected, "{what}");
        assert_eq!(outcome(&jobs[1]), &Outcome::Exited { exit_code: 9 }, "{what}: {}", running.id);
        assert_eq!(jobs[2..], before[1..], "{what}");
        assert_eq!(
            front_end.follow_ups(&FollowUpOptions::default()).expect("follow-ups"),
            jobs,
            "{what}: all pending"
        );
    }
}

#[test]
fn a_damaged_ledger_is_set_aside_and_rebuilt() {
    for damage in Damage::ALL {
        let (setup, before, go) = filled();
        setup.homing.acknowledge(&[before[5].id]).expect("it has finished");
        let Setup { homing, home } = setup;
        drop(homing);
        write_back_the_log(&home);
        damage.strike(&ledger(&home));
        let damaged = fs::read(ledger(&home)).unwrap_or_default();

        // Only the states of follow-ups are lost. They are pending again: a repeated delivery is better than none.
        let setup = Setup { homing: open(&home, WAIT_TIMEOUT), home };
        assert_rebuilt(&setup, &[&setup.homing], &before, &go, &format!("{damage:?}"));
        if damage.leaves_something() {
            let kept = fs::read(setup.home.path().join("ledger.db.damaged-1"))
                .unwrap_or_else(|error| panic!("{damage:?} was not set aside: {error}"));
            assert!(kept == damaged, "{damage:?}: it was changed before it was set aside");
        } else {
            assert_eq!(set_aside(&setup.home), [""; 0], "{damage:?}");
        }
    }
}

#[test]
fn a_ledger_that_is_damaged_while_front_ends_have_it_open_is_rebuilt_for_all_of_them() {
    for damage in Damage::ALL {
        for written_back in [true, false] {
            let what = format!("{damage:?}, {}", if written_back { "in its file" } else { "in its log" });
            let (setup, before, go) = filled();
            let other = open(&setup.home, WAIT_TIMEOUT);
            assert_eq!(all_of(&other), before, "{what}");
            if written_back {
                write_back_the_log(&setup.home);
            }
            damage.strike(&ledger(&setup.home));
            let third = open(&setup.home, WAIT_TIMEOUT);
            assert_rebuilt(&setup, &[&setup.homing, &other, &third], &before, &go, &what);
        }
    }
}

#[test]
fn a_ledger_that_is_moved_away_while_it_is_being_opened_is_opened_again() {
    let (setup, before, go) = filled();
    write_back_the_log(&setup.home);
    let aside = setup.scratch("aside");
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{}{suffix}", ledger(&setup.home).display());
        let _ = fs::rename(file, format!("{}{suffix}", aside.display()));
    }
    let mut list = setup.program();
    let list = list.args(["list", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let list = list.env("FAILPOINTS", "ledger/connect=1*sleep(1000)->off").spawn().expect("it starts");
    wait_until("it has made a ledger", || ledger(&setup.home).exists());
    fs::remove_file(ledger(&setup.home)).expect("it can be removed");
    let listed = stdout(&list.wait_with_output().expect("it ends"));
    assert!(before.iter().all(|job| listed.contains(job.id.as_str())), "{listed}");
    fs::write(go, "").expect("a file");
    wait_until("all have finished", || setup.home.processes().is_empty());
}

#[test]
fn front_ends_that_find_the_same_damage_at_once_set_aside_one_ledger() {
    let (setup, before, go) = filled();
    write_back_the_log(&setup.home);
    Damage::Noise.strike(&ledger(&setup.home));
    let damaged = fs::read(ledger(&setup.home)).expect("the ledger");
    let front_ends: Vec<Child> = (0..8)
        .map(|_| {
            let mut list = setup.program();
            list.args(["list", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let lists: Vec<String> = front_ends
        .into_iter()
        .map(|front_end| stdout(&front_end.wait_with_output().expect("it ends")))
        .collect();
    for list in &lists {
        assert_eq!(list, &lists[0]);
    }
    assert_rebuilt(&setup, &[&setup.homing], &before, &go, "eight front ends");
    let kept = fs::read(setup.home.path().join("ledger.db.damaged-1")).expect("it was set aside");
    assert!(kept == damaged, "it was changed before it was set aside");
    let files: Vec<String> = set_aside(&setup.home).into_iter().filter(|name| !name.contains('-')).collect();
    assert_eq!(files, [""; 0]);
    assert!(!setup.home.path().join("ledger.db.damaged-2").exists(), "{:?}", set_aside(&setup.home));
}

#[test]
fn a_second_damaged_ledger_does_not_overwrite_the_first_one_set_aside() {
    let (setup, before, go) = filled();
    let mut damaged = Vec::new();
    for length in [10_000, 20_000] {
        damaged.push(noise(length));
        fs::write(ledger(&setup.home), noise(length)).expect("it can be written");
        fs::remove_file(format!("{}-wal", ledger(&setup.home).display())).expect("its log");
        assert_eq!(all_of(&open(&setup.home, WAIT_TIMEOUT)), before);
    }
    assert_rebuilt(&setup, &[&setup.homing], &before, &go, "twice");
    for (number, bytes) in damaged.iter().enumerate() {
        let kept = fs::read(setup.home.path().join(format!("ledger.db.damaged-{}", number + 1)));
        assert!(kept.expect("it was set aside") == *bytes, "number {number}");
    }
}

#[test]
fn a_ledger_of_a_newer_program_is_refused_and_not_changed() {
    let (setup, before, go) = filled();
    connect(&setup.home).pragma_update(None, "user_version", 99).expect("a version");
    write_back_the_log(&setup.home);
    let Setup { homing, home } = setup;
    drop(homing);
    let bytes = fs::read(ledger(&home)).expect("the ledger");

    let setup = Setup { homing: open(&home, WAIT_TIMEOUT), home };
    match setup.homing.list(&ListOptions::default()) {
        Err(error @ Error::LedgerTooNew { found: 99, known: 9, .. }) => {
            assert!(
                error.hint().is_some_and(|hint| hint.to_string().contains("update this program")),
                "{error}"
            );
        }
        other => panic!("{other:#?}"),
    }
    let message = refusal(&setup.program().arg("list").output().expect("the program runs"));
    assert!(
        message.contains("has version 99") && message.contains("\nhint: update this program"),
        "{message}"
    );
    let launched: JobId =
        stdout(&setup.program().args(["run", "exit 5"]).output().expect("the program runs"))
            .parse()
            .expect("an id");
    fs::write(go, "").expect("a file");
    wait_until("both have finished", || setup.home.processes().is_empty());
    assert!(fs::read(ledger(&setup.home)).expect("the ledger") == bytes, "it was changed");
    assert_eq!(set_aside(&setup.home), [""; 0]);

    connect(&setup.home).pragma_update(None, "user_version", 9).expect("a version");
    let jobs = all_of(&setup.homing);
    let expected: Vec<JobId> = std::iter::once(launched).chain(ids(&before)).collect();
    assert_eq!(ids(&jobs), expected, "nothing got lost meanwhile");
    assert_eq!(jobs[2..], before[1..]);
}

/// The numbers of jobs and follow-ups in the ledger, read without homing.
fn rows(home: &TempHome) -> (usize, usize, usize) {
    let connection = connect(home);
    let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).expect("a number") };
    let as_usize = |number: i64| usize::try_from(number).expect("a count");
    (
        as_usize(count("SELECT count(*) FROM jobs")),
        as_usize(count("SELECT count(DISTINCT id) FROM jobs")),
        as_usize(count("SELECT count(*) FROM follow_ups JOIN jobs ON job = seq")),
    )
}

#[test]
fn a_front_end_that_is_killed_during_a_sync_duplicates_nothing() {
    // In a new ledger, for which every job is observed, and in an existing one.
    for new in [true, false] {
        let setup = Setup::new();
        let mut expected: Vec<JobId> = if new { vec![] } else { vec![setup.run("exit 1").id] };
        let (finished, go) = (setup.launch("exit 2").id, setup.scratch("go"));
        wait_until("it has finished", || setup.home.processes().is_empty());
        let running = setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; exit 3", go.display())).id;
        expected.splice(0..0, [running, finished]);

        for _ in 0..2 {
            let inbox = names_in(&setup.home.path().join("inbox"));
            let died = setup.program().arg("list").env("FAILPOINTS", "sync/recorded=return").output();
            assert!(!died.expect("the program runs").status.success(), "it must crash");
            assert_eq!(names_in(&setup.home.path().join("inbox")), inbox, "their inbox entries stay");
        }
        let listed: Vec<String> = list(setup.program()).iter().map(|job| job["id"].to_string()).collect();
        let quoted = |ids: &[JobId]| -> Vec<String> { ids.iter().map(|id| format!("\"{id}\"")).collect() };
        assert_eq!(listed, quoted(&expected));

        fs::write(go, "").expect("a file");
        wait_until("it has finished", || setup.home.processes().is_empty());
        let died = setup.program().arg("list").env("FAILPOINTS", "sync/recorded=return").output();
        assert!(!died.expect("the program runs").status.success(), "it must crash");
        let jobs = all_of(&setup.homing);
        assert_eq!(ids(&jobs), expected);
        assert!(jobs.iter().all(|job| job.follow_up.state == FollowUpState::Pending), "{jobs:#?}");
        assert_eq!(names_in(&setup.home.path().join("inbox")), [""; 0]);
        assert_eq!(rows(&setup.home), (expected.len(), expected.len(), expected.len()));
    }
}

#[test]
fn concurrent_syncs_duplicate_nothing_and_revert_nothing() {
    let setup = Setup::new();
    let is_done = AtomicBool::new(false);
    let launched: Vec<JobId> = std::thread::scope(|scope| {
        let programs = || {
            while !is_done.load(Ordering::Relaxed) {
                list(setup.program());
            }
        };
        let threads = || {
            let front_end = open(&setup.home, WAIT_TIMEOUT);
            while !is_done.load(Ordering::Relaxed) {
                front_end.sync().expect("it can be synced");
                front_end.full_scan().expect("every job can be observed");
            }
        };
        let readers: Vec<_> = (0..2).flat_map(|_| [scope.spawn(programs), scope.spawn(threads)]).collect();
        let launched: Vec<JobId> = (0..30).map(|number| setup.launch(&format!("exit {number}")).id).collect();
        // A job that is acknowledged as soon as it has finished must stay acknowledged, even if a process writes it later.
        for id in &launched {
            setup.end_of(*id);
            setup.homing.acknowledge(&[*id]).expect("it has finished");
        }
        is_done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("it reads every job"));
        launched
    });
    let jobs = all_of(&setup.homing);
    let mut known = ids(&jobs);
    known.sort();
    let mut expected = launched;
    expected.sort();
    assert_eq!(known, expected);
    assert!(jobs.iter().all(|job| job.follow_up.state == FollowUpState::Acknowledged), "{jobs:#?}");
    assert_eq!(rows(&setup.home), (30, 30, 30));
    assert_eq!(names_in(&setup.home.path().join("inbox")), [""; 0]);
}

/// Whether a process is in nanosleep(2), according to the kernel (proc_pid_wchan(5)).
fn is_in_nanosleep(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("nanosleep"))
}

fn kernel_shows_sleeping_processes() -> bool {
    let mut sleeper = Command::new("sleep").arg("1000").spawn().expect("sleep(1)");
    let shows = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        is_in_nanosleep(sleeper.id())
    });
    sleeper.kill().expect("it is a child of this process");
    sleeper.wait().expect("it ends");
    shows
}

#[test]
fn a_front_end_that_writes_an_old_snapshot_reverts_nothing() {
    let setup = Setup::new();
    let go = setup.scratch("go");
    let id = setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; exit 3", go.display())).id;
    let mut late = setup.program();
    let late = late.arg("list").env("FAILPOINTS", "sync/observed=sleep(2000)").stdout(Stdio::null());
    let mut late = late.spawn().expect("the program starts");
    if !kernel_shows_sleeping_processes() {
        late.wait().expect("it ends");
        fs::write(go, "").expect("a file");
        return skip("this kernel does not show where a process waits");
    }
    wait_until("it has observed the job and sleeps", || is_in_nanosleep(late.id()));
    fs::write(go, "").expect("a file");
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 3 });
    let acknowledged = setup.homing.acknowledge(&[id]).expect("it has finished");
    let is_finished = |connection: Connection| -> bool {
        connection.query_row("SELECT state = 'finished' FROM jobs", [], |row| row.get(0)).expect("the job")
    };
    assert!(is_finished(connect(&setup.home)));

    assert!(late.wait().expect("it ends").success());
    assert!(is_finished(connect(&setup.home)), "its snapshot was old");
    assert_eq!(all_of(&setup.homing), acknowledged);
    assert_eq!(rows(&setup.home), (1, 1, 1));
}

#[test]
fn a_kill_by_its_own_session_is_remembered_by_a_rebuilt_ledger() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    let killed = setup.homing.kill(id, KilledBy::Session).expect("it ends");
    assert_eq!(killed.follow_up.state, FollowUpState::Suppressed);
    Damage::DeletedWithItsLog.strike(&ledger(&setup.home));
    assert_eq!(all_of(&setup.homing), [killed]);
}

/// SQLite does not notice that a log is missing. Still, no job is lost: a job that is named is found, and a full scan,
/// which runs once a day and in `doctor`, finds all of them.
#[test]
fn jobs_whose_rows_were_lost_with_the_log_are_found_again() {
    for cut in [true, false] {
        let setup = Setup::new();
        setup.run("exit 1");
        write_back_the_log(&setup.home);
        let forgotten = setup.run("exit 2");
        let before = all_of(&setup.homing);
        let Setup { homing, home } = setup;
        drop(homing);
        let log = home.path().join("ledger.db-wal");
        let bytes = fs::read(&log).expect("the log");
        assert!(!bytes.is_empty(), "the second job is only in the log");
        let left = if cut { vec![] } else { noise(bytes.len()) };
        fs::write(&log, left).expect("it can be written");

        let homing = open(&home, WAIT_TIMEOUT);
        let named = homing.get(forgotten.id).expect("a job that is named is found");
        assert_eq!(named.outcome(), forgotten.outcome());
        homing.doctor().expect("doctor reads every job");
        assert_eq!(all_of(&homing), before);
    }
}
