//! Launchers that are killed, or that launch at once.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::setup::{Running, Setup, answer, code, kind};

#[test]
fn a_job_survives_its_killed_launcher() {
    let setup = Setup::new();
    let (go, runs) = (setup.path("go"), setup.path("runs"));
    let actions = ["touch", &runs, ",", "wait-for-file", &go, ",", "print", "still here", ",", "exit", "7"];
    let launcher = Running::start(&mut setup.command(&setup.run_words(&["--wait"], &actions)));
    setup.wait_for_file("runs");
    drop(launcher);
    let id = setup.job("last")["id"].as_str().expect("an id").to_owned();
    assert_eq!(setup.job(&id)["state"], "running");
    setup.create("go");
    let job = setup.end_of(&id);
    assert_eq!((code(&job), setup.text(&id).as_str()), (7, "still here\n"));
    assert_eq!(job["follow_up"]["state"], "pending");
}

#[test]
fn a_launcher_does_not_wait_for_its_job_to_close_its_streams() {
    let setup = Setup::new();
    // `output` reads to the end of both pipes, which only comes when no process holds them.
    let launched = setup.command(&setup.run_words(&[], &["sleep", "MARK"])).output().expect("it runs");
    let id = answer(&launched).text().trim_end().to_owned();
    assert_eq!(setup.job(&id)["state"], "running");
    setup.kill(&id);
}

#[test]
fn launchers_that_are_killed_in_the_middle_leave_no_half_job() {
    let setup = Setup::new();
    let ran = setup.path("ran");
    for step in 0..12 {
        let launcher = Running::start(&mut setup.command(&setup.run_words(&[], &["append", &ran, "x"])));
        // Any moment will do: each must be right.
        std::thread::sleep(Duration::from_millis(step * 2));
        drop(launcher);
    }
    let whole = setup.finished(&[], &["append", &ran, "x"]);
    assert_eq!(code(&whole), 0);
    let ids: Vec<String> =
        setup.jobs().iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect();
    let jobs: Vec<Value> = ids.iter().map(|id| setup.end_of(id)).collect();
    let completed = jobs.iter().filter(|job| kind(job) == "exited" && code(job) == 0).count();
    let never_started = |job: &&Value| job["outcome"]["reason"] == "never_started";
    assert_eq!(completed + jobs.iter().filter(never_started).count(), jobs.len(), "{jobs:#?}");
    assert_eq!(setup.lines("ran").len(), completed, "a command runs exactly if its job says so");
}

#[test]
fn eight_launchers_at_once_keep_every_record() {
    const EACH: usize = 5;
    let setup = Setup::new();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let launch = || (0..EACH).map(|_| setup.launch(&[], &["exit", "0"])).collect::<Vec<_>>();
        let launchers: Vec<_> = (0..8).map(|_| scope.spawn(launch)).collect();
        launchers.into_iter().flat_map(|launcher| launcher.join().expect("it launches")).collect()
    });
    let recorded: BTreeSet<String> =
        setup.jobs().iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(recorded, ids.iter().cloned().collect());
    assert_eq!(recorded.len(), 8 * EACH);
    for id in &ids {
        assert_eq!(code(&setup.end_of(id)), 0);
    }
}

#[test]
fn the_launch_of_a_job_that_fails_to_start_ends_with_an_error_on_its_stream() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "--wait", "--", &setup.path("missing"), "x"]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("it runs");
    let answer = answer(&output);
    assert_eq!((answer.status, answer.stdout.as_slice()), (Some(125), &b""[..]), "{answer:?}");
    assert!(answer.stderr.contains("missing"), "{answer:?}");
}
