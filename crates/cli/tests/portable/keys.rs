//! Launches with a key run a command once.

use std::collections::BTreeSet;

use crate::setup::{Setup, code};

#[test]
fn a_launch_that_is_repeated_with_its_key_returns_the_same_job() {
    let setup = Setup::new();
    let actions = ["append", &setup.path("ran"), "x"];
    let first = setup.launch(&["--key", "message-1"], &actions);
    setup.end_of(&first);
    assert_eq!(setup.launch(&["--key", "message-1"], &actions), first);
    let other = setup.launch(&["--key", "message-2"], &actions);
    let elsewhere = setup.launch(&["--key", "message-1", "--session", "chat-2"], &actions);
    for id in [&other, &elsewhere] {
        setup.end_of(id);
    }
    assert_eq!(BTreeSet::from([&first, &other, &elsewhere]).len(), 3);
    assert_eq!(setup.lines("ran").len(), 3);
}

#[test]
fn eight_launchers_at_once_with_one_key_run_one_command() {
    let setup = Setup::new();
    let ran = setup.path("ran");
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let launch = || setup.launch(&["--key", "k"], &["append", &ran, "x"]);
        let launchers: Vec<_> = (0..8).map(|_| scope.spawn(launch)).collect();
        launchers.into_iter().map(|launcher| launcher.join().expect("it launches")).collect()
    });
    assert_eq!(ids.len(), 1);
    assert_eq!(code(&setup.end_of("last")), 0);
    assert_eq!((setup.lines("ran").len(), setup.jobs().len()), (1, 1));
}

#[test]
fn a_key_with_another_command_is_refused() {
    let setup = Setup::new();
    let first = setup.launch(&["--key", "k"], &["exit", "0"]);
    let refused = setup.run(&setup.run_words(&["--key", "k"], &["touch", &setup.path("ran")]));
    assert_eq!((refused.status, refused.stdout.as_slice()), (Some(1), &b""[..]), "{refused:?}");
    setup.end_of(&first);
    assert!(!setup.file("ran").exists());
    assert_eq!(setup.jobs().len(), 1);
}
