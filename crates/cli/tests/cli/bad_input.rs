//! What makes no sense is refused with the right status, in the right words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::setup::{Setup, answer};

/// One mistake: the arguments, the status, the code, and words of the message.
type Mistake = (&'static [&'static str], i32, &'static str, &'static str);

const MISTAKES: [Mistake; 20] = [
    (&["show", "0123"], 3, "no_such_job", "no job 0123"),
    (&["wait", "000000000000"], 3, "no_such_job", "no job 000000000000"),
    (&["output", "0123"], 3, "no_such_job", "no job 0123"),
    (&["kill", "0123"], 3, "no_such_job", "no job 0123"),
    (&["result", "0123"], 3, "no_such_job", "no job 0123"),
    (&["ack", "0123"], 3, "no_such_job", "no job 0123"),
    (&["show", "xyz"], 2, "invalid_id", "\"xyz\" is not a job id"),
    (&["show", ""], 2, "invalid_id", "is not a job id"),
    (&["wait", "../../etc"], 2, "invalid_id", "is not a job id"),
    (&["list", "--session", ""], 2, "invalid_id", "is not a session id"),
    (&["run"], 2, "usage", "were not provided: <COMMAND>..."),
    (&["run", ""], 2, "invalid_command", "the command is empty"),
    (&["run", "", "argument"], 2, "invalid_command", "the command is empty"),
    (&["run", "--timeout", "soon", "true"], 2, "invalid_duration", "\"soon\" is not a duration"),
    (&["run", "--wait", "30", "true"], 2, "invalid_duration", "\"30\" is not a duration"),
    (&["run", "--timeout", "0s", "true"], 2, "invalid_request", "a timeout of zero"),
    (&["run", "--env", "NAME", "true"], 2, "usage", "write it as NAME=VALUE"),
    (&["run", "--cwd", "/no/such/folder", "true"], 2, "invalid_directory", "cannot run in /no/such/folder"),
    (&["list", "--state", "done"], 2, "usage", "invalid value 'done' for '--state <STATE>'"),
    (&["launch", "true"], 2, "usage", "unrecognized subcommand 'launch'"),
];

#[test]
fn mistakes_are_told_apart_and_look_alike() {
    let setup = Setup::new();
    for (arguments, status, code, words) in MISTAKES {
        let told = setup.run(arguments);
        assert_eq!((told.status, told.stdout.as_str()), (Some(status), ""), "{arguments:?}: {told:?}");
        let mut lines = told.stderr.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("homing: error: ") && first.contains(words), "{arguments:?}: {told:?}");
        assert!(lines.all(|line| line.starts_with("hint: ")), "{arguments:?}: {told:?}");

        let (verb, rest) = arguments.split_first().unwrap();
        let told = setup.run(&[&[*verb, "--json"], rest].concat());
        assert_eq!((told.status, told.stderr.as_str()), (Some(status), ""), "{arguments:?}: {told:?}");
        let error = &told.json()["error"];
        assert_eq!(error["code"], code, "{arguments:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{arguments:?}: {error}");
    }
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n", "nothing was launched");
}

#[test]
fn an_ambiguous_prefix_names_the_jobs_it_could_mean() {
    let setup = Setup::new();
    // Of seventeen ids, two begin alike.
    let ids: Vec<String> = (0..17).map(|_| setup.finished("true")).collect();
    let digit = |id: &String| id.chars().next().unwrap();
    let prefix =
        ids.iter().map(digit).find(|first| ids.iter().filter(|id| digit(id) == *first).count() > 1).unwrap();
    let meant = ids.iter().filter(|id| digit(id) == prefix).collect::<Vec<_>>();
    let told = setup.run(&["show", &prefix.to_string()]);
    assert_eq!((told.status, told.stdout.as_str()), (Some(4), ""));
    assert!(meant.iter().all(|id| told.stderr.contains(id.as_str())), "{told:?}");
    assert!(told.stderr.ends_with("hint: use a longer prefix of the id\n"), "{told:?}");
    let told = setup.run(&["show", &prefix.to_string(), "--json"]);
    assert_eq!((told.status, told.json()["error"]["code"].as_str()), (Some(4), Some("ambiguous_job")));
}

#[test]
fn a_prefix_in_capitals_is_as_good() {
    let setup = Setup::new();
    let id = setup.finished("true");
    assert_eq!(setup.job(&id[..6].to_uppercase())["id"], id.as_str());
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let setup = Setup::new();
    let told = setup.run(&[OsStr::new("run"), OsStr::new("echo"), OsStr::from_bytes(b"\xff")]);
    assert_eq!(told.status, Some(2), "{told:?}");
    assert!(told.stderr.starts_with("homing: error: invalid UTF-8"), "{told:?}");
}

#[test]
fn a_home_that_others_can_write_to_is_refused() {
    let setup = Setup::new();
    std::fs::create_dir(setup.home.path()).unwrap();
    std::fs::set_permissions(setup.home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let told = setup.run(&["run", "true"]);
    assert_eq!(told.status, Some(1));
    assert!(told.stderr.contains("others can write to it (mode 0777)"), "{told:?}");
    assert!(told.stderr.contains("hint: chmod 700 "), "{told:?}");
    assert_eq!(setup.run(&["list", "--json"]).json()["error"]["code"], "home_refused");
}

#[test]
fn an_unknown_setting_is_refused_with_its_line() {
    let setup = Setup::new();
    setup.file("homing/config.toml", "[defaults]\ntimeot = \"2h\"\n");
    let told = setup.run(&["run", "true"]);
    assert_eq!(told.status, Some(1));
    assert!(told.stderr.contains("line 2") && told.stderr.contains("timeot"), "{told:?}");
    assert_eq!(setup.run(&["list", "--json"]).json()["error"]["code"], "invalid_config");
}

#[test]
fn a_session_that_cannot_be_is_refused() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "true"]);
    command.env("HOMING_SESSION", "a\nb");
    let told = answer(command);
    assert_eq!((told.status, told.stdout.as_str()), (Some(2), ""), "{told:?}");
}

#[test]
fn a_ledger_of_the_future_stops_reading_and_not_launching() {
    let setup = Setup::new();
    let id = setup.finished("true");
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(setup.home.path().join(file));
    }
    std::fs::write(setup.home.path().join("ledger.db"), empty_database_of_version(99)).unwrap();
    let told = setup.run(&["list", "--json"]);
    assert_eq!(
        (told.status, told.json()["error"]["code"].as_str()),
        (Some(1), Some("ledger_too_new")),
        "{told:?}"
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
