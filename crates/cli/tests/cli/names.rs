//! Jobs are found by id, prefix and name, each command in its own session.

use std::path::Path;

use homing::core::Timestamp;
use homing::{FinishedJob, Homing, JobCommand, JobSpec, OpenOptions, Outcome};

use crate::setup::Setup;

pub(crate) fn library(setup: &Setup) -> Homing {
    let program = Path::new(env!("CARGO_BIN_EXE_homing"));
    OpenOptions::new().home(setup.home.path()).supervisor(program).open().expect("a home")
}

/// Creates a finished job with a chosen id.
fn import(setup: &Setup, id: &str) {
    let job = FinishedJob {
        id: id.parse().expect("an id"),
        session: "other".parse().expect("a session"),
        command: JobCommand::script("make").expect("a script"),
        cwd: "/".into(),
        pid: None,
        started_at: Timestamp::from_unix_millis(1_795_345_200_000),
        ended_at: Timestamp::from_unix_millis(1_795_345_201_000),
        outcome: Outcome::Exited { exit_code: 0 },
        timeout: None,
        output: None,
        is_delivered: false,
    };
    library(setup).import(&[job]).expect("the job is imported");
}

#[track_caller]
fn found(setup: &Setup, session: &str, reference: &str) -> String {
    let answer = setup.run_as(session, &["show", reference, "--json"]);
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[test]
fn a_name_means_the_newest_job_of_the_session() {
    let setup = Setup::new();
    let launch = |session: &str| setup.finished_with(&["-s", session, "--name", "nightly build"], "true");
    let _first = launch("a");
    let second = launch("a");
    let others = launch("b");
    assert_eq!(found(&setup, "a", "nightly build"), second);
    assert_eq!(found(&setup, "b", "nightly build"), others);
    assert_eq!(setup.run(&["show", "-s", "b", "nightly build", "--json"]).json()["id"], others.as_str());

    let answer = setup.run_as("c", &["show", "nightly build"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(3), ""));
    assert_eq!(
        answer.stderr,
        "homing: error: session c has no job named nightly build\n\
         hint: add --session SESSION, or use the id; run `homing list --all-sessions` to see the jobs of every session\n"
    );
    let answer = setup.run_as("a", &["show", "Nightly build"]);
    assert_eq!(answer.status, Some(3), "names are compared exactly");
}

#[test]
fn last_means_the_newest_job_of_the_session() {
    let setup = Setup::new();
    let answer = setup.run(&["show", "last"]);
    assert_eq!(answer.status, Some(3), "without a home");
    assert!(answer.stderr.starts_with("homing: error: session default has no jobs\n"), "{answer:?}");
    let _first = setup.finished_with(&["-s", "a"], "true");
    let second = setup.finished_with(&["-s", "a"], "true");
    let _others = setup.finished_with(&["-s", "b"], "true");
    assert_eq!(found(&setup, "a", "last"), second);
    assert_eq!(setup.run(&["show", "last"]).status, Some(3), "the default session has no job");
}

#[test]
fn every_command_finds_jobs_by_name() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--name", "nap"], "echo slept");
    for (command, shown) in [
        (&["show"][..], "Command      echo slept"),
        (&["output"], "slept"),
        (&["logs"], "slept"),
        (&["result"], "slept"),
        (&["wait"], &id),
        (&["kill"], &id),
        (&["retry"], &id),
        (&["ack"], &id),
        (&["rm"], &id),
    ] {
        let answer = setup.run(&[command, &["nap"]].concat());
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{command:?}: {answer:?}");
        assert!(answer.stdout.contains(shown), "{command:?}: {answer:?}");
    }
}

#[test]
fn a_prefix_has_four_characters_and_one_job() {
    let setup = Setup::new();
    for id in ["abcd00000001", "abcd00000002", "beef00000003"] {
        import(&setup, id);
    }
    assert_eq!(found(&setup, "a", "beef"), "beef00000003", "an id is found in every session");
    assert_eq!(found(&setup, "a", "ABCD00000002"), "abcd00000002");

    let answer = setup.run(&["show", "abcd"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(4), ""));
    assert_eq!(
        answer.stderr,
        "homing: error: abcd is ambiguous: it matches 2 jobs: abcd00000001, abcd00000002\n\
         hint: use a longer prefix of the id\n"
    );
    let answer = setup.run(&["show", "abcd", "--json"]);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (Some(4), Some("ambiguous_job")));

    let answer = setup.run(&["show", "bee"]);
    assert_eq!(answer.status, Some(2));
    assert!(
        answer.stderr.contains("\"bee\" is too short for a job id: use at least 4 characters"),
        "{answer:?}"
    );
    let answer = setup.run(&["show", "beef000000030"]);
    assert_eq!(answer.status, Some(2));
    assert!(answer.stderr.contains("is not a job id (12 hexadecimal digits)"), "{answer:?}");
    let answer = setup.run(&["show", "beefbeef"]);
    assert_eq!(answer.status, Some(3));
    assert!(answer.stderr.contains("no job beefbeef\nhint: run `homing list --all-sessions`"), "{answer:?}");
}

#[test]
fn a_new_name_cannot_be_taken_for_something_else() {
    let setup = Setup::new();
    for (name, reason) in [
        ("dead", "hexadecimal digits only"),
        ("last", "the newest job"),
        ("2nd", "must begin with a letter"),
        ("a\u{202e}b", "invisible characters"),
        ("\x1b[31mred", "must begin with a letter"),
    ] {
        let answer = setup.run(&["run", "--name", name, "true"]);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{name:?}: {answer:?}");
        assert!(answer.stderr.contains(reason), "{name:?}: {answer:?}");
        assert!(answer.stderr.contains("\nhint: use a name such as nightly"), "{name:?}: {answer:?}");
        assert!(!answer.stderr.contains('\x1b'), "{answer:?}");
        let answer = setup.run(&["run", "--json", "--name", name, "true"]);
        assert_eq!(answer.json()["error"]["code"], "invalid_id", "{name:?}");
    }
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n", "nothing was launched");
    for name in ["בנייה", "añadir", "build 編譯", "x.y-z_1"] {
        let id = setup.finished_with(&["--name", name], "true");
        assert_eq!(found(&setup, "default", name), id);
    }
    assert!(setup.job(&setup.finished_with(&["--name", " "], "true"))["name"].is_null(), "blank is no name");
}

#[test]
fn a_job_with_another_text_as_its_name_is_listed_and_found_by_its_id() {
    let setup = Setup::new();
    let homing = library(&setup);
    for name in ["dead", "last", "2nd try: \x1b[31mred", "Run the tests"] {
        let job = homing.launch(JobSpec::script("true").expect("a script").name(name)).expect("a job");
        setup.wait_for_end(job.id.as_str());
        assert_eq!(setup.job(job.id.as_str())["name"], name);
        assert!(setup.run(&["list"]).stdout.contains(job.id.as_str()));
        let listed = setup.run(&["list", "--name", name, "-q"]);
        assert_eq!(listed.stdout, format!("{}\n", job.id), "{name}");
    }
    assert_eq!(setup.run(&["show", "dead"]).status, Some(3), "an id is meant");
    assert_eq!(setup.run(&["show", "Run the tests"]).status, Some(0));
}
