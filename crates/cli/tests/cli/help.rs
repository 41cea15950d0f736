//! Help is a contract: golden files.

use crate::setup::Setup;

const COMMANDS: [&str; 19] = [
    "run",
    "list",
    "show",
    "output",
    "wait",
    "result",
    "kill",
    "follow-ups",
    "ack",
    "retry",
    "drop",
    "monitor",
    "mcp",
    "prune",
    "recover",
    "doctor",
    "setup",
    "completions",
    "man",
];

#[test]
fn help_of_every_command_is_as_agreed() {
    let setup = Setup::new();
    for command in COMMANDS {
        let answer = setup.run(&[command, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        assert!(answer.stdout.contains("Examples:\n"), "{command} teaches by example");
        insta::assert_snapshot!(format!("help_{command}"), answer.stdout);
    }
}

#[test]
fn help_of_what_makes_the_monitor_a_service_is_as_agreed() {
    for command in ["install", "uninstall"] {
        let answer = Setup::new().run(&["monitor", command, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        insta::assert_snapshot!(format!("help_monitor_{command}"), answer.stdout);
    }
}

#[test]
fn the_first_page_of_help_is_as_agreed() {
    let answer = Setup::new().run(&["--help"]);
    insta::assert_snapshot!(answer.stdout);
}

#[test]
fn no_command_at_all_shows_the_first_page_as_an_error() {
    let answer = Setup::new().run::<&str>(&[]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert!(answer.stderr.contains("Quick start:"), "{answer:?}");
}

#[test]
fn the_version_is_told() {
    let answer = Setup::new().run(&["-V"]);
    assert_eq!((answer.status, answer.stdout), (Some(0), format!("homing {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn asking_for_help_makes_no_home() {
    let setup = Setup::new();
    setup.run(&["run", "--help"]);
    assert!(!setup.home.path().exists());
}
