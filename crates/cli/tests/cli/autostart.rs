//! `homing run` starts a monitor that delivers the result.

use testkit::wait_until;

use crate::setup::Setup;

fn monitor_check(setup: &Setup) -> String {
    let checks = setup.run(&["doctor", "--json"]).json();
    let mut checks = checks.as_array().into_iter().flatten();
    let check = checks.find(|check| check["name"] == "monitor").expect("a check of the monitor");
    check["detail"].as_str().expect("text").to_owned()
}

fn wait_until_the_monitor_has_exited(setup: &Setup) {
    wait_until("the monitor has exited", || monitor_check(setup) == "not active; the next launch starts it");
    wait_until("its process is gone", || setup.home.processes().is_empty());
}

#[test]
fn a_launch_starts_a_monitor_that_exits_by_itself() {
    let setup = Setup::new();
    let (keeper, kept) = setup.keeper();
    setup.configure(&format!(
        "[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n"
    ));
    assert_eq!(monitor_check(&setup), "not active; the next launch starts it");
    let id = setup.launch_with(&["--session", "chat-1"], "sleep MARK");
    wait_until("a monitor is active", || monitor_check(&setup).starts_with("active, pid "));
    setup.run_as("chat-2", &["kill", &id]);
    wait_until("the result is delivered", || setup.follow_up(&id) == "acknowledged");
    assert!(std::fs::read_to_string(kept).unwrap().contains("HOMING_SESSION=chat-1\n"));
    wait_until_the_monitor_has_exited(&setup);
    let log = std::fs::read_to_string(setup.home.path().join("monitor.log")).unwrap();
    assert!(log.contains("Z waking chat-1 through app: 1 job ("), "{log}");

    // The next launch starts another monitor.
    let id = setup.launch_with(&["--session", "chat-1"], "true");
    wait_until("the result is delivered", || setup.follow_up(&id) == "acknowledged");
    wait_until_the_monitor_has_exited(&setup);
}

#[test]
fn run_wait_starts_a_monitor_too() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n");
    assert_eq!(setup.run(&["run", "--wait", "echo out"]).stdout, "out\n");
    assert!(setup.home.path().join("monitor.log").exists());
    wait_until_the_monitor_has_exited(&setup);
}

#[test]
fn no_monitor_starts_without_a_route() {
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
fn a_launch_succeeds_if_its_monitor_cannot_start() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n");
    std::fs::create_dir_all(setup.home.path().join("monitor.lock")).unwrap();
    let answer = setup.run(&["run", "true"]);
    assert_eq!((answer.status, answer.stdout.len()), (Some(0), 13), "{answer:?}");
    let id = answer.stdout.trim_end();
    let expected = format!("homing: note: cannot start a monitor to deliver the result of job {id}: ");
    assert!(answer.stderr.starts_with(&expected), "{answer:?}");
    setup.wait_for_end(id);
}

#[test]
fn a_job_can_select_its_sink() {
    let setup = Setup::new();
    let (keeper, kept) = setup.keeper();
    setup.configure(&format!(
        "[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[sinks.other]\ncommand = [\"false\"]\n"
    ));
    let id = setup.launch_with(&["--sink", "app"], "true");
    wait_until("the result is delivered", || setup.follow_up(&id) == "acknowledged");
    assert!(kept.exists());
    let shown = setup.run(&["show", &id]).stdout;
    assert!(shown.contains("\n  Sink         app\n"), "{shown}");

    let answer = setup.run(&["run", "--sink", "ap", "true"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        answer.stderr,
        "homing: error: no sink \"ap\" is configured\nhint: configured sinks: app, other\n"
    );
    wait_until_the_monitor_has_exited(&setup);
}

#[test]
fn a_job_records_the_harness_that_launched_it() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "true"]);
    command.env("CODEX_THREAD_ID", "thread-1");
    let id = crate::setup::answer(command).stdout.trim_end().to_owned();
    setup.wait_for_end(&id);
    let shown = setup.run(&["show", &id]).stdout;
    assert!(shown.contains("\n  Session      thread-1 of codex\n"), "{shown}");
}
