//! A signal ends a wait, never the job.

use std::process::Command;

use rustix::process::Signal;
use testkit::skip;

use crate::setup::{Running, Setup};

/// The same command with default signal dispositions. Background commands of a script and commands under nohup(1)
/// inherit ignored signals (signal(7)).
fn with_default_signals(inner: Command) -> Command {
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
fn a_signal_ends_the_wait_but_not_the_job() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    for arguments in [&["wait", id.as_str()][..], &["output", "--follow", &id]] {
        for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
            let waiting = Running::start(with_default_signals(setup.command(arguments)));
            waiting.send_once_caught(signal);
            let answer = waiting.end();
            assert_eq!((answer.status, answer.stdout.as_str()), (Some(status), ""), "{answer:?}");
            assert_eq!(
                answer.stderr,
                format!(
                    "homing: stopped waiting; job {id} keeps running\n\
                     hint: run homing output --follow {id} to see its output, or homing kill {id} to stop it\n"
                )
            );
            assert_eq!(setup.job(&id)["state"], "running");
        }
    }
    setup.kill(&id);
}

#[test]
fn a_signal_that_comes_as_soon_as_it_is_caught_is_not_lost() {
    const SLOWLY: [&str; 9] = [
        "strace",
        "-D",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=rt_sigaction",
        "-e",
        "inject=rt_sigaction:delay_exit=30000",
    ];
    let works = Command::new(SLOWLY[0]).args(&SLOWLY[1..]).arg("true").output();
    if !works.is_ok_and(|tried| tried.status.success()) {
        return skip("strace(1) does not work here, and without it the window is too short to hit");
    }
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let wait = with_default_signals(setup.command(&["wait", &id]));
        let mut slow = Command::new(wait.get_program());
        let mut arguments = wait.get_args();
        slow.args(arguments.next()).args(SLOWLY).args(arguments);
        slow.envs(wait.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(std::process::Stdio::null());
        let waiting = Running::start(slow);
        waiting.send_once_caught(signal);
        assert_eq!(waiting.end().status, Some(status));
    }
    setup.kill(&id);
}

#[test]
fn a_signal_ends_run_wait_but_not_the_job_and_prints_the_job_id() {
    let setup = Setup::new();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut staying = Running::start(with_default_signals(setup.command(&[
            "run",
            "--wait",
            &setup.marked("echo ready; sleep MARK"),
        ])));
        staying.read_until("ready\n");
        staying.send_once_caught(signal);
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
    // Once SIGTERM is caught, SIGHUP would be caught too.
    waiting.wait_until_caught(Signal::TERM);
    waiting.send(Signal::HUP);
    waiting.send(Signal::TERM);
    assert_eq!(waiting.end().status, Some(143));
    setup.kill(&id);
}
