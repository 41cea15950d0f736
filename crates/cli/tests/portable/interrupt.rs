//! Ctrl-C ends a wait, and never the job.

use crate::setup::{Answer, Setup, answer, in_own_console, kind, program};

/// Pauses until Ctrl-C, in milliseconds. It must come after the program is ready for it, which nothing reports on every
/// system: a later attempt waits longer.
const PAUSES: [&str; 3] = ["1000", "5000", "30000"];

/// What a program reports that Ctrl-C has ended by itself, and not the handler of homing. The helper program fails with 111
/// if a signal has ended a program.
const NOT_READY: [i32; 2] = [0xC000_013A_u32.cast_signed(), 111];

/// Runs homing with these arguments, presses Ctrl-C, and returns what it says. Calls `reset` before each attempt.
fn interrupted(setup: &Setup, arguments: &[&str], mut reset: impl FnMut()) -> Answer {
    for pause in PAUSES {
        reset();
        let program = program();
        let words = [&["interrupt", pause, &program], arguments].concat();
        let output = in_own_console(&mut setup.tool_command(&words)).output();
        let answer = answer(&output.expect("it runs"));
        if answer.status.is_none_or(|status| !NOT_READY.contains(&status)) {
            return answer;
        }
    }
    panic!("the program was not ready for Ctrl-C within {PAUSES:?} ms");
}

#[test]
fn ctrl_c_ends_a_wait_and_not_the_job() {
    let setup = Setup::new();
    let id = setup.launch(&[], &["sleep", "MARK"]);
    for arguments in [&["wait", id.as_str()][..], &["output", "--follow", &id]] {
        let answer = interrupted(&setup, arguments, || {});
        assert_eq!((answer.status, answer.text()), (Some(130), ""), "{answer:?}");
        assert!(answer.stderr.contains(&format!("stopped waiting; job {id} keeps running")), "{answer:?}");
        assert_eq!(setup.job(&id)["state"], "running");
    }
    assert_eq!(kind(&setup.kill(&id)), "killed");
}

#[test]
fn ctrl_c_ends_run_wait_and_not_the_job() {
    let setup = Setup::new();
    let words = setup.run_words(&["--wait"], &["sleep", "MARK"]);
    let kill_earlier = || {
        for job in setup.jobs() {
            setup.kill(job["id"].as_str().expect("an id"));
        }
    };
    let answer = interrupted(&setup, &words, kill_earlier);
    assert_eq!(answer.status, Some(130), "{answer:?}");
    let job = setup.job("last");
    assert_eq!(job["state"], "running", "{job:#}");
    let id = job["id"].as_str().expect("an id");
    assert!(answer.stderr.contains(&format!("stopped waiting; job {id} keeps running")), "{answer:?}");
    assert_eq!(kind(&setup.kill(id)), "killed");
}

#[test]
fn ctrl_c_ends_a_monitor_as_an_end_and_not_as_a_failure() {
    let setup = Setup::new();
    setup.finished(&[], &["exit", "0"]);
    let woken = setup.path("woken");
    let program = setup.tool_words(&["append-stdin", &woken]);
    let answer = interrupted(&setup, &[&["monitor", "--command"], &program[..]].concat(), || {});
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert_eq!(setup.lines("woken").len(), 1, "{answer:?}");
}
