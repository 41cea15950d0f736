//! `--all` means the jobs of one session, `--all-sessions` those of all.

use rustix::process::Signal;

use crate::setup::{Answer, Running, Setup};

fn ids(answer: &Answer) -> Vec<String> {
    let jobs = answer.json();
    let jobs = jobs.as_array().unwrap_or_else(|| panic!("not an array: {answer:?}"));
    jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn kill_all_ends_the_running_jobs_of_one_session() {
    let setup = Setup::new();
    let launch = |session: &str| setup.launch_with(&["-s", session], "sleep MARK");
    let (first, second, others) = (launch("a"), launch("a"), launch("b"));
    let _finished = setup.finished_with(&["-s", "a"], "true");
    let answer = setup.run_as("a", &["kill", "--all", "--json"]);
    assert_eq!(ids(&answer), [second, first]);
    assert_eq!(setup.job(&others)["state"], "running");

    let answer = setup.run_as("a", &["kill", "--all"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""));
    assert_eq!(answer.stderr, "homing: no running jobs in session a\n");
    assert_eq!(setup.run_as("a", &["kill", "--all", "--json"]).stdout, "[]\n");
    let answer = setup.run(&["kill", "--all"]);
    assert_eq!(answer.stderr, "homing: no running jobs in session default\n", "not those of all sessions");
    assert_eq!(ids(&setup.run(&["kill", "--all-sessions", "--json"])), [others]);
}

#[test]
fn wait_all_waits_for_the_jobs_of_one_session() {
    let setup = Setup::new();
    let others = setup.launch_with(&["-s", "b"], "sleep MARK");
    // It may have finished before the wait begins.
    let own = setup.launch_with(&["-s", "a"], "exit 3");
    let answer = setup.run_as("a", &["wait", "--all", "--json"]);
    assert_eq!(ids(&answer), [own.as_str()]);
    assert_eq!(answer.status, Some(3), "the status of the only job");
    assert_eq!(setup.follow_up(&own), "acknowledged");
    let running = setup.launch_with(&["-s", "a"], "while [ ! -e go ]; do sleep 0.01; done");
    let mut command = setup.command(&["wait", "--all"]);
    command.env("HOMING_SESSION", "a");
    let waiting = Running::start(command);
    waiting.wait_until_caught(Signal::INT);
    setup.file("go", "");
    let answer = waiting.end();
    assert_eq!((answer.status, answer.stdout.lines().count()), (Some(0), 1), "{answer:?}");
    assert!(answer.stdout.starts_with(&running), "{answer:?}");
    let answer = setup.run_as("a", &["wait", "--all"]);
    assert_eq!(answer.stderr, "homing: no running jobs in session a\n");
    assert_eq!(setup.run(&["wait", "--all-sessions", "--timeout", "1ms"]).status, Some(75));
    setup.kill(&others);
}

#[test]
fn a_job_does_not_count_itself() {
    let setup = Setup::new();
    let program = env!("CARGO_BIN_EXE_homing");
    let id = setup.launch(&format!("'{program}' kill --all && '{program}' wait --all; echo status $?"));
    setup.wait_for_end(&id);
    assert_eq!(setup.job(&id)["outcome"]["exit_code"], 0);
    assert!(setup.run(&["output", &id]).stdout.contains("status 0"));
}

#[test]
fn all_undelivered_results_of_a_session_are_acknowledged_or_dropped() {
    let setup = Setup::new();
    let finished = |session: &str| setup.finished_with(&["-s", session], "true");
    let (first, second, others) = (finished("a"), finished("a"), finished("b"));
    let running = setup.launch_with(&["-s", "a"], "sleep MARK");
    assert_eq!(ids(&setup.run_as("a", &["ack", "--all", "--json"])), [second.as_str(), &first]);
    assert_eq!(setup.follow_up(&others), "pending");
    assert_eq!(setup.follow_up(&running), "waiting");
    assert_eq!(setup.run_as("a", &["ack", "--all"]).stderr, "homing: no undelivered results in session a\n");
    assert_eq!(ids(&setup.run(&["drop", "--all", "-s", "b", "--json"])), [others]);
    setup.kill(&running);
}

#[test]
fn jobs_and_all_exclude_each_other() {
    let setup = Setup::new();
    for arguments in [
        &["kill"][..],
        &["kill", "abcd", "--all"],
        &["kill", "--all", "--all-sessions"],
        &["wait", "abcd", "--all-sessions"],
        &["ack"],
        &["ack", "--all-sessions"],
        &["rm", "abcd", "--all"],
    ] {
        let answer = setup.run(arguments);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{arguments:?}: {answer:?}");
        assert!(answer.stderr.contains("hint: "), "{answer:?}");
    }
}

#[test]
fn lists_show_the_session_of_the_environment() {
    let setup = Setup::new();
    let own = setup.finished_with(&["-s", "a"], "true");
    let others = setup.finished_with(&["-s", "b"], "true");
    for list in ["list", "ls", "ps", "follow-ups"] {
        assert_eq!(ids(&setup.run_as("a", &[list, "--json"])), [own.as_str()], "{list}");
        assert_eq!(ids(&setup.run_as("a", &[list, "-s", "b", "--json"])), [others.as_str()]);
        assert_eq!(ids(&setup.run_as("a", &[list, "--all-sessions", "--json"])), [others.as_str(), &own]);
        assert_eq!(ids(&setup.run(&[list, "--json"])), [others.as_str(), &own], "no session is named");
        assert_eq!(setup.run_as("a", &[list, "-q"]).stdout, format!("{own}\n"));
        assert_eq!(setup.run(&[list, "-n", "1", "-q"]).stdout, format!("{others}\n"));
    }
    let answer = setup.run_as("c", &["list"]);
    assert_eq!(
        answer.stderr,
        "homing: no jobs to show in session c (run homing list --all-sessions to see all jobs)\n"
    );
    // A harness names the session too.
    let mut command = setup.command(&["list", "--json"]);
    command.env("CLAUDE_CODE_SESSION_ID", "b");
    assert_eq!(ids(&crate::setup::answer(command)), [others]);
}
