//! `homing rerun` launches the command of an earlier job again.

use crate::setup::{Setup, answer};

/// The fields that a second launch must repeat.
const SAME: [&str; 12] = [
    "name",
    "command",
    "argv",
    "cwd",
    "timeout_ms",
    "grace_ms",
    "head_bytes",
    "tail_bytes",
    "leftovers_policy",
    "follow_up_policy",
    "sink",
    "env_names",
];

#[test]
fn a_job_is_launched_again_with_everything_but_its_key() {
    let setup = Setup::new();
    setup.file("folder/here", "");
    let options = [
        "-s",
        "a",
        "--name",
        "nightly",
        "--key",
        "once",
        "--cwd",
        "folder",
        "--timeout",
        "none",
        "--grace",
        "3s",
        "--output-head",
        "64k",
        "--output-tail",
        "128k",
        "--leftovers",
        "keep",
        "--follow-up",
        "failure",
        "--sink",
        "claude-code",
    ];
    let first = setup.finished_with(&options, "ls; echo $WHO");
    let mut command = setup.command(&["rerun", "nightly"]);
    command.env("HOMING_SESSION", "a").env("WHO", "caller");
    let again = answer(command);
    assert_eq!(again.status, Some(0), "{again:?}");
    let second = again.stdout.trim_end();
    assert_ne!(second, first);
    setup.wait_for_end(second);
    let (old, new) = (setup.job(&first), setup.job(second));
    for field in SAME {
        assert_eq!(old[field], new[field], "{field}");
    }
    assert_eq!((&old["key"], &new["key"]), (&"once".into(), &serde_json::Value::Null));
    assert_eq!(setup.run(&["output", second]).stdout, "here\ncaller\n", "the caller's environment");
}

#[test]
fn a_job_of_another_session_belongs_to_the_caller_when_it_is_launched_again() {
    let setup = Setup::new();
    let first = setup.finished_with(&["-s", "a", "--timeout", "90s"], "true");
    let again = setup.run_as("b", &["rerun", &first, "--json"]).json();
    assert_eq!((&again["session"], &again["timeout_ms"]), (&"b".into(), &90_000.into()));
    setup.wait_for_end(again["id"].as_str().expect("an id"));
}

#[test]
fn variables_are_named_and_must_be_given_again() {
    let setup = Setup::new();
    let secret = "s3cr3t-value";
    let first = setup.finished_with(
        &["--env", &format!("TOKEN={secret}"), "--env", "MODE=fast", "--env", "MODE=slow"],
        "echo $TOKEN $MODE | tr 3 e",
    );
    assert_eq!(setup.job(&first)["env_names"], serde_json::json!(["MODE", "TOKEN"]));
    let stored = setup.home.path().join("jobs").join(&first);
    for file in std::fs::read_dir(stored).expect("a directory") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("a file");
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "values are never stored");
    }
    let ledger = std::fs::read(setup.home.path().join("ledger.db-wal")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&ledger).contains(secret), "values are never stored");

    let mut command = setup.command(&["rerun", &first, "--env", "MODE=fast"]);
    // A variable of the caller may have another value, so it does not count.
    command.env("TOKEN", "mine");
    let refused = answer(command);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        refused.stderr,
        format!(
            "homing: error: job {first} was launched with variables whose values are not stored: TOKEN\n\
             hint: pass them again: homing rerun {first} --env TOKEN=VALUE\n"
        )
    );
    let refused = setup.run(&["rerun", &first, "--json"]).json();
    assert_eq!(refused["error"]["code"], "missing_variables");
    assert_eq!(setup.run(&["list", "-q"]).stdout.lines().count(), 1, "nothing was launched");

    let again =
        setup.run(&["rerun", &first, "--env", "MODE=fast", "--env", "TOKEN=tok3n", "--env", "MORE=1"]);
    let second = again.stdout.trim_end();
    setup.wait_for_end(second);
    assert_eq!(setup.run(&["output", second]).stdout, "token fast\n");
    assert_eq!(setup.job(second)["env_names"], serde_json::json!(["MODE", "MORE", "TOKEN"]));
}

#[test]
fn a_directory_that_is_gone_is_named() {
    let setup = Setup::new();
    let folder = setup.file("folder/here", "").parent().expect("a folder").to_owned();
    let first = setup.finished_with(&["--cwd", "folder"], "true");
    std::fs::remove_dir_all(&folder).expect("the folder is removed");
    let refused = setup.run(&["rerun", &first]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("cannot run in") && refused.stderr.contains("with --cwd"), "{refused:?}");
    let again = setup.run(&["rerun", &first, "--cwd", "."]);
    assert_eq!(again.status, Some(0), "{again:?}");
    setup.wait_for_end(again.stdout.trim_end());
}
