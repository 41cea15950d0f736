//! A signal that asks a command to end ends its waiting, and never the job.

use std::process::Command;

use rustix::process::Signal;

use crate::setup::{Running, Setup};

/// The same command with the signals as they are by default. In the background of a script, and below nohup(1), some are
/// ignored, and so they would be by every program that the tests start (signal(7)).
fn hearing_signals(inner: Command) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,TERM").arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn a_signal_ends_the_wait_and_leaves_the_job_alone() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    for arguments in [&["wait", id.as_str()][..], &["output", "--follow", &id]] {
        for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let waiting = Running::start(hearing_signals(setup.command(arguments)));
            waiting.send_once_explained(signal);
            let answer = waiting.end();
            assert_eq!((answer.status, answer.stdout.as_str()), (Some(status), ""), "{answer:?}");
            assert_eq!(
                answer.stderr,
                format!(
                    "homing: stopped waiting; job {id} keeps running\n\
                     hint: homing output --follow {id} shows it, homing kill {id} ends it\n"
                )
            );
            assert_eq!(setup.job(&id)["state"], "running");
        }
    }
    setup.kill(&id);
}

#[test]
fn a_signal_to_a_run_that_stays_leaves_the_job_alone_and_says_its_id() {
    let setup = Setup::new();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut staying = Running::start(hearing_signals(setup.command(&[
            "run",
            "--wait",
            &setup.marked("echo ready; sleep MARK"),
        ])));
        staying.read_until("ready\n");
        staying.send_once_explained(signal);
        let answer = staying.end();
        assert_eq!(answer.status, Some(status), "{answer:?}");
        let job = setup.run(&["list", "--json", "--limit", "1"]).json()[0].clone();
        assert_eq!(job["state"], "running");
        let id = job["id"].as_str().unwrap();
        assert!(answer.stderr.contains(&format!("stopped waiting; job {id} keeps running")), "{answer:?}");
        setup.kill(id);
    }
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    let mut nohup = setup.home.command("/bin/sh");
    nohup
        .args(["-c", "trap '' HUP; exec \"$0\" wait \"$1\"", env!("CARGO_BIN_EXE_homing"), &id])
        .env("XDG_CONFIG_HOME", setup.home.scratch());
    let waiting = Running::start(nohup);
    // Once it explains SIGTERM it would explain this one too.
    waiting.wait_until_explained(Signal::TERM);
    waiting.send(Signal::HUP);
    waiting.send(Signal::TERM);
    assert_eq!(waiting.end().status, Some(143));
    setup.kill(&id);
}
