//! Invalid input is rejected with the right status and message.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::setup::{Setup, answer};

/// A usage error: the arguments, the exit status, the error code, and a part of the message.
type UsageError = (&'static [&'static str], i32, &'static str, &'static str);

const USAGE_ERRORS: [UsageError; 32] = [
    (&["show", "0123"], 3, "no_such_job", "no job 0123"),
    (&["wait", "000000000000"], 3, "no_such_job", "no job 000000000000"),
    (&["output", "0123"], 3, "no_such_job", "no job 0123"),
    (&["kill", "0123"], 3, "no_such_job", "no job 0123"),
    (&["result", "0123"], 3, "no_such_job", "no job 0123"),
    (&["ack", "0123"], 3, "no_such_job", "no job 0123"),
    (&["show", "xyz"], 3, "no_such_job", "session default has no job named xyz"),
    (&["show", "last"], 3, "no_such_job", "session default has no jobs"),
    (&["show", "123"], 2, "invalid_id", "\"123\" is too short for a job id"),
    (&["show", "0123456789abc"], 2, "invalid_id", "\"0123456789abc\" is not a job id"),
    (&["show", ""], 2, "invalid_id", "is neither a job id nor the name of a job"),
    (&["wait", "../../etc"], 2, "invalid_id", "is neither a job id nor the name of a job"),
    (&["run", "--name", "dead", "true"], 2, "invalid_id", "\"dead\" cannot be the name of a job"),
    (&["list", "--since", "soon"], 2, "usage", "use an age such as 2h"),
    (&["output", "0123", "--grep", "("], 2, "usage", "invalid value '('"),
    (&["list", "--session", ""], 2, "invalid_id", "is not a session id"),
    (&["run"], 2, "usage", "were not provided: <COMMAND>..."),
    (&["run", ""], 2, "invalid_command", "the command is empty"),
    (&["run", "", "argument"], 2, "invalid_command", "the command is empty"),
    (&["run", "--timeout", "soon", "true"], 2, "invalid_duration", "\"soon\" is not a duration"),
    (&["run", "--wait", "30", "true"], 2, "invalid_duration", "\"30\" is not a duration"),
    (&["run", "--timeout", "0s", "true"], 2, "invalid_request", "a timeout of zero"),
    (&["run", "--env", "NAME", "true"], 2, "usage", "use NAME=VALUE"),
    (&["run", "--cwd", "/no/such/folder", "true"], 2, "invalid_directory", "cannot run in /no/such/folder"),
    (&["list", "--state", "done"], 2, "usage", "invalid value 'done' for '--state <STATE>'"),
    (&["list", "--sesion", "a"], 2, "usage", "unexpected argument '--sesion'"),
    (&["serve", "--private", "install"], 2, "usage", "'install' cannot be used after"),
    (&["serve", "--allow-origin", "app.example"], 2, "usage", "https://app.example"),
    (&["serve", "--allow-host", "http://a"], 2, "usage", "jobs.example.com"),
    (&["run", "--wait", "--wait", "true"], 2, "usage", "'--wait[=<DURATION>]' cannot be used multiple times"),
    (&["run", "true", "--timeout", "5m"], 2, "misplaced_option", "--timeout stands after the command"),
    (&["launch", "true"], 2, "usage", "unrecognized subcommand 'launch'"),
];

#[test]
fn usage_errors_have_distinct_codes_and_one_format() {
    let setup = Setup::new();
    for (arguments, status, code, words) in USAGE_ERRORS {
        let answer = setup.run(arguments);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(status), ""), "{arguments:?}: {answer:?}");
        let mut lines = answer.stderr.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("homing: error: ") && first.contains(words), "{arguments:?}: {answer:?}");
        assert!(lines.all(|line| line.starts_with("hint: ")), "{arguments:?}: {answer:?}");

        let (verb, rest) = arguments.split_first().unwrap();
        let answer = setup.run(&[&[*verb, "--json"], rest].concat());
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(status), ""), "{arguments:?}: {answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{arguments:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{arguments:?}: {error}");
    }
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n", "nothing was launched");
}

#[test]
fn usage_errors_suggest_what_the_user_means() {
    let setup = Setup::new();
    for (arguments, hint) in [
        (&["status"][..], "use homing list"),
        (&["stop", "3f9c"], "use homing kill"),
        (&["lits"], "similar: 'list', 'listen'"),
        (&["list", "--sesion", "a"], "similar: '--session'"),
        (&["list", "--state", "runing"], "similar: 'running'"),
        (&["show"], "run homing show --help for usage"),
        (&["frobnicate"], "run homing --help to list the commands"),
        (
            &["run", "make -j2", "--timeout", "5m"],
            "run homing run --timeout 5m 'make -j2'; or, if --timeout is for the command, run homing run -- 'make -j2' \
             --timeout 5m",
        ),
    ] {
        let answer = setup.run(arguments);
        assert_eq!(answer.status, Some(2), "{answer:?}");
        assert!(answer.stderr.ends_with(&format!("\nhint: {hint}\n")), "{arguments:?}: {answer:?}");
    }
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n", "nothing was launched");
}

#[test]
fn a_prefix_may_be_in_upper_case() {
    let setup = Setup::new();
    let id = setup.finished("true");
    assert_eq!(setup.job(&id[..6].to_uppercase())["id"], id.as_str());
}

#[test]
fn arguments_that_are_not_utf8_are_rejected() {
    let setup = Setup::new();
    let answer = setup.run(&[OsStr::new("run"), OsStr::new("echo"), OsStr::from_bytes(b"\xff")]);
    assert_eq!(answer.status, Some(2), "{answer:?}");
    assert!(answer.stderr.starts_with("homing: error: invalid UTF-8"), "{answer:?}");
}

#[test]
fn a_home_that_others_can_write_to_is_rejected() {
    let setup = Setup::new();
    std::fs::create_dir(setup.home.path()).unwrap();
    std::fs::set_permissions(setup.home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let answer = setup.run(&["run", "true"]);
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.contains("others can write to it (mode 0777)"), "{answer:?}");
    assert!(answer.stderr.contains("hint: chmod 700 "), "{answer:?}");
    assert_eq!(setup.run(&["list", "--json"]).json()["error"]["code"], "home_refused");
}

#[test]
fn an_unknown_setting_is_rejected_with_its_line() {
    let setup = Setup::new();
    setup.file("homing/config.toml", "[defaults]\ntimeot = \"2h\"\n");
    let answer = setup.run(&["run", "true"]);
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.contains("line 2") && answer.stderr.contains("timeot"), "{answer:?}");
    assert_eq!(setup.run(&["list", "--json"]).json()["error"]["code"], "invalid_config");
}

#[test]
fn an_invalid_session_is_rejected() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "true"]);
    command.env("HOMING_SESSION", "a\nb");
    let answer = answer(command);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{answer:?}");
}

#[test]
fn a_newer_ledger_prevents_reading_but_not_launching() {
    let setup = Setup::new();
    let id = setup.finished("true");
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(setup.home.path().join(file));
    }
    std::fs::write(setup.home.path().join("ledger.db"), empty_database_of_version(99)).unwrap();
    let answer = setup.run(&["list", "--json"]);
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (Some(1), Some("ledger_too_new")),
        "{answer:?}"
    );
    assert_eq!(setup.run(&["run", "true"]).status, Some(0));
    assert_eq!(setup.run(&["output", &id]).status, Some(0));
}

/// A database file without tables (<https://sqlite.org/fileformat.html#the_database_header>).
fn empty_database_of_version(user_version: u32) -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[16..24].copy_from_slice(&[0x10, 0, 1, 1, 0, 64, 32, 32]);
    page[27] = 1; // file change counter
    page[31] = 1; // size in pages
    page[47] = 4; // schema format
    page[59] = 1; // UTF-8
    page[60..64].copy_from_slice(&user_version.to_be_bytes());
    page[95] = 1; // the size is valid for this change counter
    page[100..108].copy_from_slice(&[13, 0, 0, 0, 0, 0x10, 0, 0]); // an empty leaf
    page
}
