//! Launches: arguments, environment, directory, input, and commands that cannot start.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::setup::{Setup, answer, code, kind, program};

#[test]
fn a_launch_prints_the_id_of_a_job_that_runs_once() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["append", &setup.path("ran"), "once", ",", "print", "hello"]);
    assert_eq!((kind(&job), code(&job)), ("exited", 0));
    assert_eq!(setup.lines("ran"), ["once"]);
    assert_eq!(setup.text(job["id"].as_str().expect("an id")), "hello\n");
}

#[test]
fn arguments_arrive_exactly() {
    let setup = Setup::new();
    let words = [
        "two words",
        "",
        "\"quoted\"",
        "it's",
        "back\\slash\\",
        "trailing\\\\",
        "\\\"",
        "%PATH%",
        "$HOME",
        "a&b|c",
        "(x)",
        "^",
        "<in>",
        "*",
        "ünï→",
        "--json",
        "tab\tend",
        "!bang!",
    ];
    let job = setup.finished(&[], &[&["echo-args"], &words[..]].concat());
    let expected: String = words.iter().map(|word| format!("{word}\n")).collect();
    assert_eq!(setup.text(job["id"].as_str().expect("an id")), expected);
    let argv = job["argv"].as_array().expect("words");
    assert_eq!(argv[2..], words.map(|word| json!(word)));
}

#[test]
fn variables_of_the_launch_reach_the_job() {
    let setup = Setup::new();
    let mut command = setup.command(&setup.run_words(
        &["--env", "GIVEN=a value", "--session", "chat-1"],
        &[
            "echo-env",
            "GIVEN",
            ",",
            "echo-env",
            "INHERITED",
            ",",
            "echo-env",
            "HOMING_SESSION",
            ",",
            "echo-env",
            "HOMING_JOB",
        ],
    ));
    let launched = answer(&command.env("INHERITED", "from the launcher").output().expect("it runs"));
    let id = launched.text().trim_end();
    let job = setup.end_of(id);
    assert_eq!(setup.text(id), format!("a value\nfrom the launcher\nchat-1\n{id}\n"));
    assert_eq!((&job["env_names"], &job["session"]), (&json!(["GIVEN"]), &json!("chat-1")));
}

#[test]
fn a_job_runs_in_the_directory_that_was_named() {
    let setup = Setup::new();
    let directory = setup.file("a folder & more");
    std::fs::create_dir(&directory).expect("a folder");
    let job = setup.finished(&["--cwd", directory.to_str().expect("text")], &["touch", "here"]);
    assert_eq!(code(&job), 0);
    assert!(directory.join("here").exists());
}

#[test]
fn the_input_of_a_background_job_is_empty() {
    let setup = Setup::new();
    let mut command = setup.command(&setup.run_words(&[], &["read-stdin", ",", "print", "end"]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let _ = child.stdin.take().expect("a pipe").write_all(b"not for the job");
    let launched = answer(&child.wait_with_output().expect("it runs"));
    let id = launched.text().trim_end();
    setup.end_of(id);
    assert_eq!(setup.text(id), "end\n");
}

#[test]
fn input_is_passed_to_a_job_in_the_foreground() {
    let setup = Setup::new();
    let mut command = setup.command(&setup.run_words(&["--wait"], &["read-stdin", ",", "exit", "3"]));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(&testkit::pattern(0, 200_000)).expect("it is read");
    let answer = answer(&child.wait_with_output().expect("it runs"));
    assert_eq!(answer.status, Some(3));
    assert!(answer.stdout == testkit::pattern(0, 200_000), "{} bytes", answer.stdout.len());
}

#[test]
fn a_program_that_does_not_exist_fails_to_start() {
    let setup = Setup::new();
    let missing = setup.path("no-such-program");
    let launched = setup.run(&["run", "--", &missing, "argument"]);
    assert_eq!(launched.status, Some(1), "{launched:?}");
    assert!(launched.stderr.contains("no-such-program"), "{launched:?}");
    let jobs = setup.jobs();
    let [job] = jobs.as_slice() else { panic!("one job: {jobs:#?}") };
    assert_eq!((kind(job), &job["pid"]), ("failed_to_start", &json!(null)));
    let id = job["id"].as_str().expect("an id");
    assert_eq!(setup.run(&["wait", id]).status, Some(125));
}

#[test]
fn a_directory_that_does_not_exist_starts_nothing() {
    let setup = Setup::new();
    let words = setup.run_words(&["--cwd", "no-such-folder"], &["touch", "ran"]);
    let launched = setup.run(&words);
    assert_eq!(launched.status, Some(2), "{launched:?}");
    assert!(launched.stderr.contains("no-such-folder"), "{launched:?}");
    assert!(setup.jobs().is_empty());
    assert!(!setup.file("ran").exists());
}

#[test]
fn a_script_runs_programs_and_its_exit_code_is_kept() {
    let setup = Setup::new();
    // Quoted and with slashes, a path means the same to every shell.
    let tool = setup.tool_words(&[])[0].replace('\\', "/");
    let answer = setup.run(&["run", "--wait", &format!("\"{tool}\" print from a script")]);
    assert_eq!((answer.status, answer.text().trim_end()), (Some(0), "from a script"), "{answer:?}");
    let failed = setup.run(&["run", "--wait", &format!("\"{tool}\" exit 9")]);
    assert_eq!(failed.status, Some(9), "{failed:?}");
    let exited = setup.run(&["run", "--wait", "exit 9"]);
    assert_eq!(exited.status, Some(9), "{exited:?}");
}

#[test]
fn a_wrong_command_line_launches_nothing() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--timeout", "soon", "--", &program(), "list"]);
    assert_eq!((answer.status, answer.stdout.as_slice()), (Some(2), &b""[..]));
    assert!(answer.stderr.contains("soon"), "{answer:?}");
    assert!(setup.jobs().is_empty());
}
