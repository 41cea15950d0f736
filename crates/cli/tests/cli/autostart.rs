//! `homing run` sees to it that somebody will tell the session.

use testkit::wait_until;

use crate::setup::Setup;

fn monitor_check(setup: &Setup) -> String {
    let checks = setup.run(&["doctor", "--json"]).json();
    let mut checks = checks.as_array().into_iter().flatten();
    let check = checks.find(|check| check["name"] == "monitor").expect("it is checked");
    check["detail"].as_str().expect("text").to_owned()
}

fn wait_for_the_monitors_end(setup: &Setup) {
    wait_until("the monitor has ended", || monitor_check(setup) == "not active; the next launch starts it");
    wait_until("it is gone", || setup.home.processes().is_empty());
}

#[test]
fn a_launch_starts_a_monitor_which_ends_by_itself() {
    let setup = Setup::new();
    let (keeper, kept) = setup.keeper();
    setup.configure(&format!(
        "[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n"
    ));
    assert_eq!(monitor_check(&setup), "not active; the next launch starts it");
    let id = setup.launch_with(&["--session", "chat-1"], "sleep MARK");
    wait_until("a monitor is active", || monitor_check(&setup).starts_with("active, pid "));
    setup.run_as("chat-2", &["kill", &id]);
    wait_until("the session was told", || setup.follow_up(&id) == "acknowledged");
    assert!(std::fs::read_to_string(kept).unwrap().contains("HOMING_SESSION=chat-1\n"));
    wait_for_the_monitors_end(&setup);
    let log = std::fs::read_to_string(setup.home.path().join("monitor.log")).unwrap();
    assert!(log.contains("Z waking chat-1 through app: 1 job ("), "{log}");

    // The next one starts another.
    let id = setup.launch_with(&["--session", "chat-1"], "true");
    wait_until("the session was told", || setup.follow_up(&id) == "acknowledged");
    wait_for_the_monitors_end(&setup);
}

#[test]
fn who_stays_with_a_job_starts_one_too() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n");
    assert_eq!(setup.run(&["run", "--wait", "echo out"]).stdout, "out\n");
    assert!(setup.home.path().join("monitor.log").exists());
    wait_for_the_monitors_end(&setup);
}

#[test]
fn nothing_is_started_where_nobody_could_be_woken() {
    let setup = Setup::new();
    setup.finished("true");
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n");
    setup.finished_with(&["--session", "other"], "true");
    setup.finished_with(&["--session", "chat-1", "--follow-up", "never"], "true");
    setup.configure(
        "monitor.autostart = false\n[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n",
    );
    setup.finished("true");
    assert!(!setup.home.path().join("monitor.log").exists());
}

#[test]
fn a_monitor_that_cannot_be_started_fails_no_launch() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n");
    std::fs::create_dir_all(setup.home.path().join("monitor.lock")).unwrap();
    let answer = setup.run(&["run", "true"]);
    assert_eq!((answer.status, answer.stdout.len()), (Some(0), 13), "{answer:?}");
    let id = answer.stdout.trim_end();
    let expected =
        format!("homing: note: job {id} runs, and no monitor could be started to tell of its end: ");
    assert!(answer.stderr.starts_with(&expected), "{answer:?}");
    setup.wait_for_end(id);
}

#[test]
fn a_job_may_name_its_sink() {
    let setup = Setup::new();
    let (keeper, kept) = setup.keeper();
    setup.configure(&format!(
        "[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[sinks.other]\ncommand = [\"false\"]\n"
    ));
    let id = setup.launch_with(&["--sink", "app"], "true");
    wait_until("the session was told", || setup.follow_up(&id) == "acknowledged");
    assert!(kept.exists());
    let shown = setup.run(&["show", &id]).stdout;
    assert!(shown.contains("\n  Sink         app\n"), "{shown}");

    let answer = setup.run(&["run", "--sink", "ap", "true"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        answer.stderr,
        "homing: error: no sink \"ap\" is configured\nhint: configured sinks: app, other\n"
    );
    wait_for_the_monitors_end(&setup);
}

#[test]
fn a_job_remembers_the_harness_it_came_from() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "true"]);
    command.env("CODEX_THREAD_ID", "thread-1");
    let id = crate::setup::answer(command).stdout.trim_end().to_owned();
    setup.wait_for_end(&id);
    let shown = setup.run(&["show", &id]).stdout;
    assert!(shown.contains("\n  Session      thread-1 of codex\n"), "{shown}");
}
