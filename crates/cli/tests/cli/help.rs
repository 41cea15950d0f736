//! Help texts are contracts: golden files.

use crate::setup::Setup;

const COMMANDS: [&str; 28] = [
    "run",
    "rerun",
    "list",
    "top",
    "show",
    "output",
    "events",
    "wait",
    "listen",
    "result",
    "kill",
    "follow-ups",
    "ack",
    "retry",
    "drop",
    "monitor",
    "mcp",
    "serve",
    "token",
    "remove",
    "prune",
    "recover",
    "doctor",
    "setup",
    "setup-host",
    "executors",
    "completions",
    "man",
];

#[test]
fn help_of_every_command_matches_its_snapshot() {
    let setup = Setup::new();
    for command in COMMANDS {
        let answer = setup.run(&[command, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        assert!(answer.stdout.contains("Examples:\n"), "{command} has examples");
        insta::assert_snapshot!(format!("help_{command}"), answer.stdout);
    }
}

#[test]
fn help_of_the_service_commands_matches_its_snapshot() {
    for command in ["install", "uninstall"] {
        let answer = Setup::new().run(&["monitor", command, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        insta::assert_snapshot!(format!("help_monitor_{command}"), answer.stdout);
    }
}

#[test]
fn help_of_the_server_commands_matches_its_snapshot() {
    for (command, verb) in [
        ("serve", "install"),
        ("serve", "uninstall"),
        ("token", "create"),
        ("token", "list"),
        ("token", "revoke"),
    ] {
        let answer = Setup::new().run(&[command, verb, "--help"]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
        assert!(answer.stdout.contains("Examples:\n"), "{command} {verb} has examples");
        insta::assert_snapshot!(format!("help_{command}_{verb}"), answer.stdout);
    }
}

#[test]
fn the_overview_matches_its_snapshot() {
    let answer = Setup::new().run(&["--help"]);
    insta::assert_snapshot!(answer.stdout);
}

#[test]
fn a_missing_command_prints_the_overview_to_standard_error() {
    let answer = Setup::new().run::<&str>(&[]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert!(answer.stderr.contains("Quick start:"), "{answer:?}");
}

#[test]
fn the_version_is_printed() {
    let answer = Setup::new().run(&["-V"]);
    assert_eq!((answer.status, answer.stdout), (Some(0), format!("homing {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn help_does_not_create_a_home() {
    let setup = Setup::new();
    setup.run(&["run", "--help"]);
    assert!(!setup.home.path().exists());
}
