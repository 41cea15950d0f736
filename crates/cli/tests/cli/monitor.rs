//! `homing monitor`: delivers results, and stops cleanly.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use testkit::{WAIT_TIMEOUT, wait_until};

use crate::documents::steady;
use crate::setup::{Answer, Running, Setup, send};

const ACTIVE: &str = "\"event\":\"active\"}\n";

fn monitor(setup: &Setup, arguments: &[&str]) -> Running {
    let mut running = Running::start(setup.command(&[&["monitor", "--json"], arguments].concat()));
    running.read_until(ACTIVE);
    running
}

fn stop(monitor: Running) -> Answer {
    monitor.send(Signal::TERM);
    let answer = monitor.end();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    answer
}

/// The wake and the environment variables that the keeper stored.
fn kept(path: &Path) -> (Value, String) {
    wait_until("the wake has arrived", || path.exists());
    let text = std::fs::read_to_string(path).expect("a readable file");
    let (wake, variables) = text.split_once('\n').expect("two parts");
    (serde_json::from_str(wake).expect("a document"), variables.to_owned())
}

#[test]
fn once_delivers_what_is_due_through_a_program() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", "chat-1"], "echo out; exit 3");
    let (keeper, kept_at) = setup.keeper();
    let answer = setup.run(&["monitor", "--once", "--command", "sh", &keeper]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""), "{answer:?}");
    let (wake, variables) = kept(&kept_at);
    let wake_id = wake["id"].as_str().unwrap();
    assert_eq!((&wake["schema"], &wake["session"]), (&"homing.wake/1".into(), &"chat-1".into()));
    assert_eq!(wake["jobs"][0]["id"], id.as_str());
    assert!(wake["text"].as_str().unwrap().contains("exit code 3"), "{wake}");
    let home = setup.home.path();
    // Ignore variables that configure the tests.
    let variables: Vec<&str> = variables.lines().filter(|line| !line.starts_with("HOMING_TEST_")).collect();
    let home = format!("HOMING_HOME={}", home.display());
    assert_eq!(variables, [&home, "HOMING_SESSION=chat-1", &format!("HOMING_WAKE={wake_id}")]);
    assert_eq!(setup.follow_up(&id), "acknowledged");
    let lines: Vec<&str> = answer.stderr.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines[..2],
        ["watching", &format!("waking chat-1 through command: 1 job ({wake_id}, attempt 1)")]
    );
    assert!(lines[2].starts_with(&format!("chat-1 was notified ({wake_id}, ")), "{lines:?}");
    assert_eq!(lines.len(), 3);
    let time = answer.stderr.split_once(' ').unwrap().0;
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
}

#[test]
fn events_are_documents_for_programs() {
    let setup = Setup::new();
    setup.finished("true");
    let answer = setup.run(&["monitor", "--once", "--json", "--command", "sh", "-c", "exit 3", "--once"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
    let events: Vec<Value> =
        answer.stdout.lines().map(|line| steady(serde_json::from_str(line).unwrap())).collect();
    insta::assert_json_snapshot!(events);
}

#[test]
fn a_job_that_finishes_while_the_monitor_runs_is_delivered_immediately() {
    let setup = Setup::new();
    let (keeper, kept_at) = setup.keeper();
    let monitor = monitor(&setup, &["--command", "sh", &keeper]);
    let id = setup.launch("echo out");
    assert_eq!(kept(&kept_at).0["jobs"][0]["id"], id.as_str());
    wait_until("the result is acknowledged", || setup.follow_up(&id) == "acknowledged");
    let answer = stop(monitor);
    assert!(answer.stdout.ends_with("\"event\":\"stopping\",\"in_flight\":0}\n"), "{answer:?}");
}

#[test]
fn an_interrupt_stops_the_monitor_cleanly() {
    let setup = Setup::new();
    let monitor = monitor(&setup, &["--command", "true"]);
    monitor.send_once_caught(Signal::INT);
    assert_eq!(monitor.end().status, Some(0));
}

#[test]
fn stopping_waits_for_a_running_program_until_a_second_signal() {
    let setup = Setup::new();
    let id = setup.finished("true");
    let started = setup.home.scratch().join("started");
    let script =
        setup.marked(&format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; exec sleep MARK", started.display()));
    let mut monitor = monitor(&setup, &["--command", "sh", "-c", &script]);
    wait_until("the program runs", || started.exists());
    monitor.send(Signal::TERM);
    monitor.read_until("\"event\":\"stopping\",\"in_flight\":1}\n");
    monitor.send(Signal::TERM);
    assert_eq!(monitor.end().status, Some(0));
    assert_eq!(setup.follow_up(&id), "pending");
    // The program keeps running without the monitor.
    let program = std::fs::read_to_string(started).unwrap().trim().parse().unwrap();
    assert_eq!(setup.home.marked().iter().map(|process| process.pid).collect::<Vec<_>>(), [program]);
    send(program, Signal::KILL);
}

#[test]
fn a_second_monitor_waits_and_takes_over() {
    let setup = Setup::new();
    let first = monitor(&setup, &["--command", "true"]);
    let pid = first.pid();
    let mut second = Running::start(setup.command(&["monitor", "--json", "--command", "true"]));
    second.read_until(&format!("\"event\":\"standby\",\"pid\":{pid}}}\n"));

    let id = setup.finished("true");
    let once = setup.run(&["monitor", "--once", "--command", "false"]);
    assert_eq!((once.status, once.stdout.as_str()), (Some(0), ""));
    assert_eq!(
        once.stderr,
        format!("homing: another monitor is active (pid {pid}) and delivers the results\n")
    );
    wait_until("the first monitor has delivered", || setup.follow_up(&id) == "acknowledged");

    first.send(Signal::KILL);
    assert_eq!(first.end().status, None);
    second.read_until(ACTIVE);
    stop(second);
}

#[test]
fn a_standby_monitor_can_be_stopped() {
    let setup = Setup::new();
    let first = monitor(&setup, &["--command", "true"]);
    let mut second = Running::start(setup.command(&["monitor", "--json", "--command", "true"]));
    second.read_until("\"event\":\"standby\"");
    stop(second);
    stop(first);
}

#[test]
fn a_monitor_without_a_sink_or_route_prints_a_note() {
    let setup = Setup::new();
    let id = setup.finished("true");
    let answer = setup.run(&["monitor", "--once"]);
    assert_eq!(answer.status, Some(0));
    let config = setup.home.scratch().join("homing/config.toml");
    let expected = format!(
        "homing: note: no sink is configured, so results stay pending\n\
         hint: run homing monitor --command PROGRAM, or set agents = [\"claude-code\"] in {}\n",
        config.display()
    );
    assert!(answer.stderr.starts_with(&expected), "{answer:?}");
    assert!(answer.stderr.ends_with(" default: delivery held: no sink is configured\n"), "{answer:?}");
    assert_eq!(setup.follow_up(&id), "pending");

    setup.configure("[sinks.app]\ncommand = [\"true\"]\n");
    let answer = setup.run(&["monitor", "--once"]);
    assert!(
        answer.stderr.starts_with("homing: note: no route is configured, so only results "),
        "{answer:?}"
    );
}

#[test]
fn an_invalid_command_is_a_usage_error() {
    let setup = Setup::new();
    let answer = setup.run(&["monitor", "--command", "agent", "{sesion}"]);
    assert_eq!(answer.status, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("{sesion}"), "{answer:?}");
    assert_eq!(setup.run(&["monitor", "--command"]).status, Some(2));
}

#[test]
fn the_monitor_stops_when_the_reader_of_its_events_is_gone() {
    let setup = Setup::new();
    let mut monitor = monitor(&setup, &["--command", "true"]);
    monitor.close_stdout();
    setup.launch("true");
    assert_eq!(monitor.end().status, Some(0));
}

#[test]
fn the_service_manager_is_notified() {
    let setup = Setup::new();
    let path = setup.home.scratch().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    let receive = || {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).expect("a notification");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut command = setup.command(&["monitor", "--command", "true"]);
    command.env("NOTIFY_SOCKET", &path);
    let monitor = Running::start(command);
    assert_eq!(receive(), "READY=1\nSTATUS=watching\n");
    monitor.send(Signal::TERM);
    assert_eq!(receive(), "STOPPING=1\nSTATUS=stopping\n");
    assert_eq!(monitor.end().status, Some(0));

    let mut command = setup.command(&["monitor", "--command", "true"]);
    command.env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", Duration::from_millis(200).as_micros().to_string());
    let monitor = Running::start(command);
    assert_eq!(receive(), "READY=1\nSTATUS=watching\n");
    assert_eq!((receive(), receive()), ("WATCHDOG=1\n".to_owned(), "WATCHDOG=1\n".to_owned()));
    monitor.send(Signal::TERM);
    assert_eq!(monitor.end().status, Some(0));
}

#[test]
fn a_changed_configuration_applies_immediately() {
    let setup = Setup::new();
    let (keeper, kept_at) = setup.keeper();
    setup.configure("");
    let id = setup.finished_with(&["--session", "chat-1"], "true");
    let monitor = monitor(&setup, &[]);
    // An invalid configuration changes nothing, and does not stop the monitor.
    setup.configure("[sinks.app]\ncomand = [\"true\"]\n");
    setup.configure(&format!("[sinks.app]\ncommand = [\"sh\", \"{keeper}\"]\n[[routes]]\nsink = \"app\"\n"));
    wait_until("the result is delivered", || setup.follow_up(&id) == "acknowledged");
    assert!(kept_at.exists());
    let answer = stop(monitor);
    assert!(answer.stdout.contains("\"event\":\"configured\""), "{answer:?}");
}
