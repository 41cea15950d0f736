//! The monitor as a scheduled task of Windows. A stand-in takes the place of `schtasks.exe`, because a test must not change
//! the tasks of the user who runs it. A release takes no stand-in, so it is not tested.
#![cfg(all(windows, debug_assertions))]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::wait_until;

use crate::monitor::{configure, wait_for_acknowledged};
use crate::setup::{Answer, Setup, answer, is_wine};

/// A home with a Task Scheduler of its own.
struct Scheduled {
    setup: Setup,
}

impl Scheduled {
    fn new() -> Scheduled {
        let scheduled = Scheduled { setup: Setup::new() };
        let folder = scheduled.folder();
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(scheduled.setup.tool_words(&[])[0], folder.join("schtasks.exe")).expect("a copy");
        scheduled
    }

    /// The folder of the Task Scheduler.
    fn folder(&self) -> PathBuf {
        self.setup.file("scheduler")
    }

    /// The folder of the file that homing writes.
    fn files(&self) -> PathBuf {
        self.setup.file("AppData").join("homing")
    }

    fn file(&self) -> PathBuf {
        self.files().join("homing-monitor.xml")
    }

    /// The definitions that are registered.
    fn registered(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "xml")).collect()
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        let mut command = self.setup.command(&[&["monitor"], arguments].concat());
        command.env("HOMING_TEST_SCHTASKS", self.folder().join("schtasks.exe"));
        command.env("APPDATA", self.setup.file("AppData"));
        answer(&command.output().expect("the program runs"))
    }

    fn refuse(&self, lines: &str) {
        fs::write(self.folder().join("refused"), lines).expect("a file");
    }
}

#[test]
fn a_scheduled_task_runs_the_monitor_until_it_is_uninstalled() {
    let scheduled = Scheduled::new();
    let setup = &scheduled.setup;
    configure(setup, &["append-stdin", &setup.path("woken")]);
    let installed = scheduled.run(&["install"]);
    assert_eq!((installed.status, installed.stderr.as_str()), (Some(0), ""), "{installed:?}");
    let registered = scheduled.registered();
    let [definition] = registered.as_slice() else { panic!("one task: {registered:?}") };
    assert_eq!(fs::read(definition).expect("a file"), fs::read(scheduled.file()).expect("a file"));
    assert_eq!(fs::read_dir(scheduled.files()).expect("a folder").count(), 1, "no temporary file remains");

    // The printed command starts the monitor, which delivers.
    let start = installed.text().lines().find_map(|line| line.strip_prefix("start it now: schtasks.exe "));
    let start: Vec<&str> = start.unwrap_or_else(|| panic!("{installed:?}")).split(' ').collect();
    let mut command = setup.home.command(scheduled.folder().join("schtasks.exe").to_str().expect("text"));
    command.args(start).env("HOMING_CONFIG", setup.path("config.toml"));
    // Not with pipes: the monitor would inherit them.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("it runs").success());
    let id = setup.launch(&["--session", "chat"], &["exit", "0"]);
    wait_for_acknowledged(setup, &id);
    assert_eq!(setup.lines("woken").len(), 1);
    let log = setup.home.path().join("monitor.log");
    assert!(fs::read_to_string(&log).expect("a log").contains("chat"), "{}", log.display());

    let removed = scheduled.run(&["uninstall"]);
    assert_eq!((removed.status, removed.stderr.as_str()), (Some(0), ""), "{removed:?}");
    wait_until("the monitor has ended", || setup.home.processes().is_empty());
    assert_eq!((scheduled.registered(), scheduled.file().exists()), (vec![], false));
    let nothing = scheduled.run(&["uninstall"]);
    assert_eq!((nothing.status, nothing.text()), (Some(0), ""));
    assert!(nothing.stderr.contains("nothing to remove"), "{nothing:?}");
}

#[test]
fn a_second_installation_replaces_the_task() {
    let scheduled = Scheduled::new();
    for replaced in [false, true] {
        let words = format!("--session={replaced}");
        let document = scheduled.run(&["install", "--json", "--command", "my agent", &words]).json();
        assert_eq!((&document["replaced"], &document["registered"]), (&json!(replaced), &json!(true)));
        let definition = fs::read_to_string(&scheduled.registered()[0]).expect("a definition");
        assert!(definition.contains(&words) && definition.contains("\"my agent\""), "{definition}");
    }
    for removed in [true, false] {
        let document = scheduled.run(&["uninstall", "--json"]).json();
        assert_eq!((&document["removed"], &document["stop"]), (&json!(removed), &json!([])));
    }
}

#[test]
fn a_refused_registration_changes_nothing() {
    let scheduled = Scheduled::new();
    scheduled.refuse("/Create ERROR: Access is denied.\n");
    let refused = scheduled.run(&["install"]);
    assert_eq!((refused.status, refused.text()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("ERROR: Access is denied. (exit code 1)"), "{refused:?}");
    assert!(refused.stderr.contains("hint: "), "{refused:?}");
    assert_eq!(fs::read_dir(scheduled.files()).expect("a folder").count(), 0, "no file remains");

    // An older installation stays as it is.
    scheduled.refuse("");
    assert_eq!(scheduled.run(&["install", "--command", "first"]).status, Some(0));
    let before = fs::read_to_string(scheduled.file()).expect("a file");
    scheduled.refuse("/Create ERROR: Access is denied.\n");
    assert_eq!(scheduled.run(&["install", "--command", "second"]).status, Some(1));
    assert_eq!(fs::read_to_string(scheduled.file()).expect("a file"), before);
    assert_eq!(fs::read_to_string(&scheduled.registered()[0]).expect("a file"), before);
}

#[test]
fn a_task_that_cannot_be_removed_keeps_its_file() {
    let scheduled = Scheduled::new();
    assert_eq!(scheduled.run(&["install"]).status, Some(0));
    scheduled.refuse("/Delete ERROR: Access is denied.\n");
    let refused = scheduled.run(&["uninstall", "--json"]);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (Some(1), &json!("task_scheduler")));
    assert!(scheduled.file().exists() && scheduled.registered().len() == 1);
    // Nothing answers: then it is not known whether there is a task.
    scheduled
        .refuse("/Query ERROR: The service is not running.\n/Delete ERROR: The service is not running.\n");
    let refused = scheduled.run(&["uninstall", "--json"]).json();
    let message = refused["error"]["message"].as_str().expect("a message");
    assert!(message.contains("The service is not running"), "{refused:#}");
    assert!(scheduled.file().exists());
}

#[test]
fn a_task_without_its_file_is_removed() {
    let scheduled = Scheduled::new();
    assert_eq!(scheduled.run(&["install"]).status, Some(0));
    fs::remove_file(scheduled.file()).expect("a file");
    let removed = scheduled.run(&["uninstall"]);
    assert_eq!((removed.status, scheduled.registered()), (Some(0), vec![]), "{removed:?}");
    assert!(
        removed.text().starts_with("stopped and removed the scheduled task homing-monitor-"),
        "{removed:?}"
    );
    // And a file without its task.
    assert_eq!(scheduled.run(&["install"]).status, Some(0));
    fs::remove_file(&scheduled.registered()[0]).expect("a file");
    let removed = scheduled.run(&["uninstall"]);
    assert_eq!((removed.status, scheduled.file().exists()), (Some(0), false), "{removed:?}");
}

#[test]
fn a_task_of_another_program_is_kept_unless_forced() {
    let scheduled = Scheduled::new();
    assert_eq!(scheduled.run(&["install"]).status, Some(0));
    let task = scheduled.registered().remove(0);
    let foreign = "<Task><Description>of another program</Description></Task>\n";
    fs::write(&task, foreign).expect("a definition");
    for verb in ["install", "uninstall"] {
        let refused: Value = scheduled.run(&[verb, "--json"]).json();
        assert_eq!(refused["error"]["code"], "foreign_service", "{refused:#}");
        assert_eq!(fs::read_to_string(&task).expect("a definition"), foreign);
    }
    assert_eq!(scheduled.run(&["install", "--force"]).status, Some(0));
    assert!(fs::read_to_string(&task).expect("a definition").contains("Written by homing"));
}

#[test]
fn a_system_without_a_task_scheduler_is_reported() {
    let scheduled = Scheduled::new();
    fs::remove_file(scheduled.folder().join("schtasks.exe")).expect("a file");
    let refused = scheduled.run(&["install"]);
    assert_eq!((refused.status, refused.text()), (Some(1), ""), "{refused:?}");
    assert!(refused.stderr.contains("schtasks.exe") && refused.stderr.contains("hint: "), "{refused:?}");
}

/// Wine reads definitions of tasks, but runs none. On a real Windows the task would be one of the user's.
#[test]
fn the_task_scheduler_of_wine_accepts_the_definition() {
    if !is_wine() {
        return testkit::skip("this is not Wine (HOMING_TEST_WINE is not set)");
    }
    // Wine starts its desktop for the first program that needs it, and keeps it. It must not count as a process of this test.
    let mut first = Command::new("schtasks.exe");
    first
        .arg("/query")
        .env_remove("HOMING_HOME")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(first.status().expect("it starts").success());
    let setup = Setup::new();
    let run = |verb: &str| {
        let mut command = setup.command(&["monitor", verb]);
        answer(&command.env("APPDATA", setup.file("AppData")).output().expect("the program runs"))
    };
    let installed = run("install");
    assert_eq!(installed.status, Some(0), "{installed:?}");
    let removed = run("uninstall");
    assert_eq!(removed.status, Some(0), "{removed:?}");
    assert!(removed.text().contains("removed the scheduled task homing-monitor-"), "{removed:?}");
}
