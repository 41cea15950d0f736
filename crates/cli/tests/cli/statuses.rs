//! Exit statuses of jobs and of waits.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::wait_until;

use crate::setup::{Setup, send};

#[test]
fn wait_exits_with_the_status_of_the_job() {
    let setup = Setup::new();
    for (options, script, status) in [
        (&[][..], "exit 0", 0),
        (&[], "exit 7", 7),
        (&[], "exit 255", 255),
        (&[], "kill -SEGV $$", 139),
        (&["--timeout", "50ms"], "sleep MARK", 124),
    ] {
        let id = setup.launch_with(options, script);
        assert_eq!(setup.run(&["wait", &id]).status, Some(status), "{script}");
    }
}

#[test]
fn wait_exits_with_125_for_a_job_without_an_exit_status() {
    let setup = Setup::new();
    let killed = setup.launch("sleep MARK");
    setup.kill(&killed);
    assert_eq!(setup.run(&["wait", &killed]).status, Some(125));

    let refused = setup.run(&["run", "/no/such/program", "argument"]).stdout;
    assert_eq!(setup.run(&["wait", refused.trim_end()]).status, Some(125));

    let lost = setup.launch("sleep MARK");
    let supervisor =
        setup.home.processes().into_iter().find(|process| process.command_line.contains("__supervise"));
    send(supervisor.unwrap().pid, Signal::KILL);
    let answer = setup.run(&["wait", &lost]);
    assert_eq!(answer.status, Some(125));
    assert!(answer.stdout.contains("lost"), "{answer:?}");
    assert_eq!(setup.run(&["recover"]).status, Some(0));
}

#[test]
fn of_several_jobs_all_must_succeed() {
    let setup = Setup::new();
    let (good, better, bad) = (setup.launch("true"), setup.launch("true"), setup.launch("exit 7"));
    assert_eq!(setup.run(&["wait", &good, &better]).status, Some(0));
    assert_eq!(setup.run(&["wait", &good, &bad]).status, Some(1));
    assert_eq!(setup.run(&["wait", &bad, &bad]).status, Some(7), "a job named twice is one job");
}

#[test]
fn any_of_several_jobs_is_enough() {
    let setup = Setup::new();
    let (quick, slow) = (setup.launch("true"), setup.launch("sleep MARK"));
    let answer = setup.run(&["wait", "--any", &slow, &quick]);
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert!(answer.stdout.contains("exit code 0") && answer.stdout.contains("still running"), "{answer:?}");
    assert_eq!(setup.follow_up(&slow), "waiting");
    setup.kill(&slow);
}

#[test]
fn an_elapsed_wait_exits_with_75() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    let answer = setup.run(&["wait", &id, "--timeout", "10ms"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(75), ""));
    assert!(answer.stdout.contains("still running"), "{answer:?}");

    let answer = setup.run(&["result", &id]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(75), ""));
    assert!(answer.stdout.contains("is still running"), "{answer:?}");
    assert_eq!(setup.follow_up(&id), "waiting");
    setup.kill(&id);
}

#[test]
fn kill_succeeds_when_all_jobs_have_finished() {
    let setup = Setup::new();
    let (finished, running) = (setup.finished("exit 7"), setup.launch("sleep MARK"));
    let answer = setup.run(&["kill", &finished, &running]);
    assert_eq!(answer.status, Some(0), "{answer:?}");
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("{finished}  already finished: exit code 7 after ")), "{answer:?}");
    assert!(lines[1].starts_with(&format!("{running}  killed by its own session after ")), "{answer:?}");
}

#[test]
fn kill_ends_jobs_in_parallel() {
    let setup = Setup::new();
    // Each of these jobs uses up its grace period.
    let stubborn = "trap '' TERM; echo ready; while true; do sleep 0.05; done";
    let ids = [0, 1, 2].map(|_| setup.launch_with(&["--grace", "2s"], stubborn));
    for id in &ids {
        wait_until("the trap is set", || setup.run(&["output", id]).stdout == "ready\n");
    }
    let before = Instant::now();
    let answer = setup.run(&["kill", &ids[0], &ids[1], &ids[2]]);
    assert_eq!(answer.status, Some(0), "{answer:?}");
    // Sequential kills would take six seconds.
    assert!(before.elapsed() < Duration::from_secs(5), "took {:?}", before.elapsed());
}
