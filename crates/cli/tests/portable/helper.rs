//! The helper program and the search for processes, without homing: what the other tests rest on.

use std::process::{Command, Stdio};

use testkit::wait_until;

use crate::setup::{Running, Setup, answer};

fn tool(setup: &Setup, actions: &[&str]) -> Command {
    let words = setup.tool_words(actions);
    let mut command = setup.home.command(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[test]
fn processes_are_found_by_their_arguments_and_killed() {
    let setup = Setup::new();
    let child = Running::start(&mut tool(&setup, &["sleep", "MARK"]));
    setup.wait_for_marked(1);
    testkit::kill(setup.home.marked()[0].pid);
    assert!(!child.end().success());
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn processes_are_found_by_their_environment() {
    let setup = Setup::new();
    let child = Running::start(&mut tool(&setup, &["sleep", "3600"]));
    wait_until("it is found", || setup.home.processes().len() == 1);
    assert_eq!(setup.home.marked(), []);
    drop(child);
    assert_eq!(setup.home.processes(), []);
}

#[test]
fn a_tree_consists_of_detached_processes() {
    let setup = Setup::new();
    let main = Running::start(&mut tool(&setup, &["tree", "3", "MARK"]));
    setup.wait_for_marked(3);
    drop(main);
    setup.wait_for_marked(2);
    for process in setup.home.marked() {
        testkit::kill(process.pid);
    }
    wait_until("all have ended", || setup.home.processes().is_empty());
}

#[test]
fn actions_are_performed_in_their_order() {
    let setup = Setup::new();
    let run =
        |actions: &[&str]| answer(&tool(&setup, actions).stdout(Stdio::piped()).output().expect("it runs"));
    let said = run(&["print", "a", "b", ",", "print-error", "c", ",", "write", "3", ",", "exit", "9"]);
    assert_eq!((said.status, said.text(), said.stderr.as_str()), (Some(9), "a b\n000", "c\n"));
    let failed = run(&["fly"]);
    assert_eq!((failed.status, failed.text()), (Some(111), ""));
    assert_eq!(run(&["write", "100000"]).stdout, testkit::pattern(0, 100_000));
}
