//! What only a real Windows shows. Wine behaves otherwise, so these tests are ignored unless they are asked for:
//! `cargo test -p homing-cli --test real_windows -- --ignored`. Nobody has run them yet.
#![cfg(windows)]

#[path = "portable/setup.rs"]
#[allow(dead_code, reason = "the portable tests use the rest")]
mod setup;

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::process::Command;

use setup::{Setup, code, kind};

/// The longest grace period that a test would wait for if the request to end did not arrive.
const LONG_GRACE: &str = "120s";

#[test]
#[ignore = "CTRL_BREAK: Wine kills at once and calls no handler"]
fn a_job_that_handles_ctrl_break_ends_itself_in_the_grace() {
    let setup = Setup::new();
    let (ready, ended) = (setup.path("ready"), setup.path("ended"));
    let actions = ["wait-for-term", &ready, ",", "append", &ended, "politely", ",", "exit", "0"];
    let id = setup.launch(&["--grace", LONG_GRACE], &actions);
    setup.wait_for_file("ready");
    assert_eq!(kind(&setup.kill(&id)), "killed");
    assert_eq!(setup.lines("ended"), ["politely"]);
}

#[test]
#[ignore = "CTRL_BREAK: Wine kills at once and calls no handler"]
fn a_job_that_ignores_ctrl_break_is_killed_when_the_grace_is_over() {
    let setup = Setup::new();
    let ready = setup.path("ready");
    let id = setup.launch(&["--grace", "1s"], &["ignore-term", ",", "touch", &ready, ",", "sleep", "MARK"]);
    setup.wait_for_file("ready");
    let begin = std::time::Instant::now();
    assert_eq!(kind(&setup.kill(&id)), "killed");
    assert!(begin.elapsed() >= std::time::Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(setup.home.marked(), []);
}

#[test]
#[ignore = "CTRL_BREAK: Wine kills at once and calls no handler"]
fn ctrl_break_for_one_job_does_not_reach_another_one_or_the_launcher() {
    let setup = Setup::new();
    let other = setup.launch(&[], &["sleep", "MARK"]);
    let id = setup.launch(&["--grace", LONG_GRACE], &["sleep", "MARK"]);
    setup.wait_for_marked(2);
    setup.kill(&id);
    assert_eq!(setup.job(&other)["state"], "running");
    setup.kill(&other);
}

#[test]
#[ignore = "POSIX rename: Wine denies a rename over an open file"]
fn an_edited_configuration_replaces_a_file_that_another_program_has_open() {
    let setup = Setup::new();
    let folder = setup.file(".cursor");
    fs::create_dir(&folder).expect("a folder");
    let path = folder.join("mcp.json");
    fs::write(&path, "{}\n").expect("a file");
    let mut open = File::open(&path).expect("it opens");
    let mut command = setup.command(&["setup", "cursor", "--write"]);
    for name in ["USERPROFILE", "HOME", "APPDATA", "LOCALAPPDATA"] {
        command.env(name, setup.home.scratch());
    }
    let answer = setup::answer(&command.output().expect("it runs"));
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert!(fs::read_to_string(&path).expect("the new file").contains("homing"));
    open.rewind().expect("it is open");
    let mut before = String::new();
    open.read_to_string(&mut before).expect("it is open");
    assert_eq!(before, "{}\n", "the open file is the old one");
}

#[test]
#[ignore = "code pages: Wine has no UTF-8 console"]
fn scripts_of_cmd_are_read_and_printed_as_utf_8() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--wait", "--shell", "cmd", "echo grüße → 你好"]);
    assert_eq!((answer.status, answer.text().trim_end()), (Some(0), "grüße → 你好"), "{answer:?}");
}

#[test]
#[ignore = "PowerShell: Wine has none"]
fn scripts_of_powershell_keep_their_text_and_their_exit_code() {
    let setup = Setup::new();
    let answer =
        setup.run(&["run", "--wait", "--shell", "powershell", "Write-Output 'grüße → 你好'; exit 9"]);
    assert_eq!((answer.status, answer.text().trim_end()), (Some(9), "grüße → 你好"), "{answer:?}");
}

fn icacls(arguments: &[&str]) -> String {
    let output = Command::new("icacls").args(arguments).output().expect("icacls runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "access control lists: Wine maps them to the rights of a file"]
fn the_home_is_for_its_owner_alone() {
    let setup = Setup::new();
    setup.finished(&[], &["exit", "0"]);
    let rights = icacls(&[setup.home.path().to_str().expect("text")]);
    assert!(!rights.contains("Everyone") && !rights.contains("BUILTIN\\Users"), "{rights}");
    assert!(!rights.contains("(I)"), "nothing is inherited: {rights}");
}

#[test]
#[ignore = "access control lists: Wine maps them to the rights of a file"]
fn a_home_that_everybody_can_write_to_is_refused() {
    let setup = Setup::new();
    setup.finished(&[], &["exit", "0"]);
    // S-1-1-0 is Everyone.
    icacls(&[setup.home.path().to_str().expect("text"), "/grant", "*S-1-1-0:(OI)(CI)F"]);
    let refused = setup.run(&setup.run_words(&[], &["touch", &setup.path("ran")]));
    assert_eq!((refused.status, refused.stdout.as_slice()), (Some(1), &b""[..]), "{refused:?}");
    assert!(refused.stderr.contains("hint: "), "{refused:?}");
    assert!(!setup.file("ran").exists());
}

#[test]
#[ignore = "access control lists: Wine maps them to the rights of a file"]
fn a_configuration_that_everybody_can_write_to_is_not_used() {
    let setup = Setup::new();
    let woken = setup.path("woken").replace('\\', "/");
    let tool = setup.tool_words(&[])[0].replace('\\', "/");
    setup.configure(&format!(
        "[sinks.app]\ncommand = ['{tool}', 'append-stdin', '{woken}']\n\n[[routes]]\nsink = \"app\"\n"
    ));
    icacls(&[&setup.path("config.toml"), "/grant", "*S-1-1-0:F"]);
    let job = setup.finished(&[], &["exit", "0"]);
    setup.run(&["monitor", "--once"]);
    assert_eq!(setup.follow_up(job["id"].as_str().expect("an id")), "pending");
    assert_eq!(setup.lines("woken"), [""; 0]);
}

#[test]
#[ignore = "Git Bash: Wine has none"]
fn scripts_of_bash_run_in_git_bash_and_not_in_wsl() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--wait", "--shell", "bash", "uname -s; echo grüße; exit 9"]);
    assert_eq!(answer.status, Some(9), "{answer:?}");
    let text = answer.text();
    assert!(text.starts_with("MINGW") || text.starts_with("MSYS"), "{text}");
    assert!(text.contains("grüße"), "{text}");
}

#[test]
#[ignore = "Git Bash: Wine has none"]
fn background_processes_of_git_bash_are_gone_with_their_job() {
    let setup = Setup::new();
    let tool = setup.tool_words(&[])[0].replace('\\', "/");
    let mark = setup.home.mark();
    let script = format!("'{tool}' sleep {mark} & ( '{tool}' sleep {mark} & ) ; exit 5");
    let launched = setup.run(&["run", "--shell", "bash", &script]);
    let job = setup.end_of(launched.text().trim_end());
    assert_eq!(code(&job), 5);
    assert_eq!(setup.home.marked(), []);
}

fn schtasks(arguments: &[&str]) -> bool {
    let output = Command::new("schtasks").args(arguments).output().expect("schtasks runs");
    output.status.success()
}

/// Registers and removes the task of the user who runs the tests, unless that user has installed one.
#[test]
#[ignore = "the Task Scheduler: that of Wine reads definitions, but neither lists nor runs tasks"]
fn the_task_scheduler_registers_the_monitor_and_removes_it() {
    let setup = Setup::new();
    let run = |verb: &str| {
        let mut command = setup.command(&["monitor", verb, "--json"]);
        setup::answer(&command.env("APPDATA", setup.home.scratch()).output().expect("it runs"))
    };
    let name = |document: &serde_json::Value| {
        let start = document["start"][0].as_str().expect("a command").to_owned();
        start.rsplit(' ').next().expect("a name").to_owned()
    };
    let listed = Command::new("schtasks").args(["/Query", "/FO", "CSV", "/NH"]).output().expect("it runs");
    if String::from_utf8_lossy(&listed.stdout).contains("homing-monitor-") {
        return testkit::skip("a monitor is installed on this machine");
    }
    let installed = run("install");
    assert_eq!(installed.status, Some(0), "{installed:?}");
    let task = name(&installed.json());
    assert!(schtasks(&["/Query", "/TN", &task, "/XML"]));
    let again = run("install");
    assert_eq!(again.json()["replaced"], true, "it is recognised as homing's: {again:?}");
    let removed = run("uninstall");
    assert_eq!((removed.status, &removed.json()["removed"]), (Some(0), &true.into()), "{removed:?}");
    assert!(!schtasks(&["/Query", "/TN", &task]));
}
