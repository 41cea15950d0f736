//! `homing list` and `homing show`, on terminals and in pipes.

use rustix::process::Signal;
use testkit::wait_until;

use crate::names::library;
use crate::setup::{Setup, send};
use crate::terminal::OnTerminal;

#[test]
fn a_list_in_a_pipe_has_a_header_and_tabs() {
    let setup = Setup::new();
    let id = setup.finished("exit 3");
    let answer = setup.run(&["list"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = answer.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["ID", "STATE", "AGE", "DURATION", "FOLLOW-UP", "SESSION", "COMMAND"]);
    assert_eq!(lines[1][..2], [&id, "exit 3"]);
    assert_eq!(lines[1][4..], ["pending", "default", "exit 3"]);
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_empty_list_prints_a_message_to_standard_error() {
    let answer = Setup::new().run(&["list"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""));
    assert_eq!(answer.stderr, "homing: no jobs to show (run homing run COMMAND to launch one)\n");
}

#[test]
fn a_list_is_limited_and_reports_omitted_jobs() {
    let setup = Setup::new();
    let ids: Vec<String> = (0..3).map(|_| setup.finished("true")).collect();
    let answer = setup.run(&["list", "--limit", "2"]);
    assert_eq!(answer.stdout.lines().count(), 3, "{answer:?}");
    assert!(!answer.stdout.contains(&ids[0]) && answer.stdout.contains(&ids[2]), "the newest");
    assert_eq!(answer.stderr, "homing: note: showing the newest 2; use -n 0 to show all\n");
    for limit in ["3", "0"] {
        let answer = setup.run(&["list", "--limit", limit]);
        assert_eq!((answer.stdout.lines().count(), answer.stderr.as_str()), (4, ""));
    }
}

#[test]
fn jobs_are_listed_by_state_and_session() {
    let setup = Setup::new();
    let finished = setup.finished_with(&["--session", "chat-1"], "true");
    let running = setup.launch("sleep MARK");
    let listed = |arguments: &[&str]| -> Vec<String> {
        let jobs = setup.run(&[&["list", "--json"], arguments].concat()).json();
        jobs.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&["--state", "running"]), std::slice::from_ref(&running));
    assert_eq!(listed(&["--state", "finished"]), std::slice::from_ref(&finished));
    assert_eq!(listed(&["--session", "chat-1"]), [finished]);
    setup.kill(&running);
}

#[test]
fn output_of_commands_contains_no_control_characters() {
    let setup = Setup::new();
    let evil = "\x1b]0;owned\x07\x1b[31mred\x1b[0m";
    let script = format!("# {evil}\nprintf '\\033[31mout\\033[0m\\007\\n'");
    // The command line refuses such a name; other callers pass descriptions.
    let spec = homing::JobSpec::script(script).unwrap().name(evil);
    let id = library(&setup).launch(spec).unwrap().id.to_string();
    setup.wait_for_end(&id);
    for arguments in [
        &["list"][..],
        &["show", &id],
        &["output", &id],
        &["follow-ups"],
        &["wait", "--session", "x", &id],
        &["result", &id],
        &["kill", &id],
        &["ack", &id],
    ] {
        let answer = setup.run(arguments);
        let shown = answer.stdout.clone() + &answer.stderr;
        assert!(!shown.contains(['\x1b', '\x07']), "{arguments:?}: {shown:?}");
        assert!(shown.contains("red") || shown.contains("out"), "{arguments:?}: {shown:?}");
    }
}

#[test]
fn details_are_aligned_and_complete() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--name", "count", "--timeout", "none"], "seq 1 30\nexit 3");
    let shown = setup.run(&["show", &id[..11]]).stdout;
    let labels: Vec<&str> = shown
        .lines()
        .filter_map(|line| Some(line.strip_prefix("  ")?.split_at_checked(13)?.0.trim()))
        .filter(|label| !label.is_empty())
        .collect();
    assert!(shown.starts_with(&format!("Job {id}  exit code 3 after ")), "{shown}");
    assert_eq!(
        labels,
        [
            "Command",
            "Name",
            "Session",
            "Directory",
            "Launched",
            "Started",
            "Ended",
            "Limit",
            "CPU time",
            "Peak memory",
            "Output",
            "Follow-up",
            "Files"
        ]
    );
    assert!(shown.contains("  Command      seq 1 30\n               exit 3\n"), "{shown}");
    assert!(
        shown.ends_with(&format!(
            "\nLast output\n{}",
            (21..=30).map(|n| format!("  │ {n}\n")).collect::<String>()
        )),
        "{shown}"
    );
}

#[test]
fn details_of_a_running_job_show_its_deadline() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    let shown = setup.run(&["show", &id]).stdout;
    assert!(shown.starts_with(&format!("Job {id}  still running after ")), "{shown}");
    assert!(shown.contains("  Limit        1h, ends by "), "{shown}");
    assert!(shown.contains("  Uses now     ") && shown.contains(" of memory, "), "{shown}");
    setup.kill(&id);
}

#[test]
fn failed_recent_and_named_jobs_are_listed() {
    let setup = Setup::new();
    let launched = [
        setup.finished("true"),
        setup.finished_with(&["--name", "nightly"], "exit 3"),
        setup.finished_with(&["--timeout", "50ms"], "sleep MARK"),
        setup.finished("kill -SEGV $$"),
    ];
    let running = setup.launch_with(&["--name", "nightly"], "sleep MARK");
    let listed = |arguments: &[&str]| -> Vec<String> {
        let answer = setup.run(&[&["list", "-q"], arguments].concat());
        assert_eq!(answer.status, Some(0), "{arguments:?}: {answer:?}");
        answer.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(listed(&["--failed"]), [&*launched[3], &launched[2], &launched[1]]);
    assert_eq!(listed(&["--name", "nightly"]), [&*running, &launched[1]]);
    assert_eq!(listed(&["--name", "nightly", "--failed"]), [&*launched[1]]);
    assert_eq!(listed(&["--since", "1h"]).len(), 5);
    assert_eq!(listed(&["--since", "2999-01-01"]), [""; 0]);
    assert_eq!(listed(&["--since", "2020-01-01 12:00", "--failed", "-n", "1"]).len(), 1);
    assert_eq!(setup.run(&["list", "--name", "no such"]).stderr, "homing: no jobs match\n");
    setup.kill(&running);
}

#[test]
fn details_are_in_local_time_and_documents_in_utc() {
    let setup = Setup::new();
    let id = setup.finished("head -c 5000000 /dev/zero");
    let mut command = setup.command(&["show", &id]);
    // POSIX: two hours east of Greenwich.
    command.env("TZ", "XYZ-2");
    let shown = crate::setup::answer(command).stdout;
    let launched = shown.lines().find_map(|line| line.strip_prefix("  Launched     ")).expect("a time");
    assert!(launched.contains(" +02:00 ("), "{shown}");
    assert!(shown.contains("  Output       4.7 MiB (5,000,000 bytes)\n"), "{shown}");
    assert!(shown.contains(" MiB\n") && !shown.contains(" KiB\n"), "{shown}");
    let document = setup.job(&id);
    assert!(document["created_at"].as_str().expect("a time").ends_with('Z'), "{document}");
}

/// The list on a terminal of this size.
fn list_on_terminal(setup: &Setup, columns: u16) -> String {
    let (status, text) = OnTerminal::start(setup.command(&["list"]), columns, 24).end();
    assert_eq!(status, Some(0), "{text}");
    text.replace("\r\n", "\n")
}

#[test]
fn a_list_fits_the_terminal_and_keeps_the_command() {
    let setup = Setup::new();
    let session = "0199a8c2-77f1-7a10-9d5e-6f3b1c2d3e4f";
    let command = "echo one two three four five six seven eight nine ten";
    let first = setup.finished_with(&["-s", session], command);
    let second = setup.finished_with(&["-s", "b"], "# 編譯編譯編譯編譯編譯編譯編譯編譯編譯編譯編譯");
    assert_eq!(setup.run(&["ack", &first]).status, Some(0));

    let wide = list_on_terminal(&setup, 200);
    let header: Vec<&str> = wide.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["ID", "STATE", "AGE", "DURATION", "FOLLOW-UP", "SESSION", "COMMAND"]);
    assert!(wide.contains("  0199a8c…3e4f  ") && wide.contains(command), "{wide}");

    let usual = list_on_terminal(&setup, 80);
    for line in usual.lines() {
        let width: usize = line.chars().map(|c| if c == '編' || c == '譯' { 2 } else { 1 }).sum();
        assert!(width <= 80, "{width}: {line}");
    }
    assert!(usual.contains(&first) && usual.contains(&second), "{usual}");
    assert!(usual.contains("echo one two three four") && usual.contains('…'), "{usual}");

    let narrow = list_on_terminal(&setup, 20);
    let header: Vec<&str> = narrow.lines().next().expect("a header").split_whitespace().collect();
    assert_eq!(header, ["ID", "COMMAND"]);
    assert!(narrow.contains("echo one two three four…"), "{narrow}");
}

#[test]
fn three_hundred_jobs_are_listed() {
    let setup = Setup::new();
    for _ in 0..300 {
        setup.launch_with(&["--follow-up", "never"], "true");
    }
    wait_until("all jobs have finished", || {
        setup.run(&["list", "-q", "-n", "0", "--state", "finished"]).stdout.lines().count() == 300
    });
    let answer = setup.run(&["list"]);
    assert_eq!((answer.stdout.lines().count(), answer.status), (21, Some(0)));
    assert_eq!(setup.run(&["list", "-n", "0"]).stdout.lines().count(), 301);
    let removed = setup.run(&["rm", "--all", "--json"]).json();
    assert_eq!(removed["removed"].as_array().expect("ids").len(), 300);
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n");
}

#[test]
fn a_watched_list_is_drawn_again_when_something_changes() {
    let setup = Setup::new();
    let first = setup.launch("sleep MARK");
    let watching = OnTerminal::start(setup.command(&["list", "--watch"]), 80, 10);
    watching.wait_for("the running job is shown", |picture| {
        picture.contains("1 running") && picture.contains(&first)
    });
    let second = setup.launch("sleep MARK");
    watching.wait_for("the new job is shown", |picture| {
        picture.contains("2 running") && picture.contains(&second)
    });
    setup.kill(&first);
    watching
        .wait_for("the end is shown", |picture| picture.contains("killed") && picture.contains("1 finished"));
    let third = setup.finished("exit 3");
    watching.wait_for("the follow-up is shown", |picture| {
        picture.contains("exit 3") && picture.contains("pending")
    });
    assert_eq!(setup.run(&["ack", &third]).status, Some(0));
    watching.wait_for("the acknowledgement is shown", |picture| {
        picture.contains("exit 3") && !picture.contains("pending")
    });
    watching.resize(40, 10);
    watching.wait_for("the size is used", |picture| {
        picture.contains("COMMAND") && picture.lines().all(|line| line.trim_end().chars().count() <= 40)
    });
    watching.resize(80, 5);
    watching.wait_for("the height is used", |picture| {
        picture.lines().count() <= 5 && picture.contains("the newest 2")
    });
    watching.send(Signal::INT);
    let (status, text) = watching.end();
    assert_eq!(status, Some(130), "{text:?}");
    assert!(text.starts_with("\x1b[?1049h") && text.ends_with("\x1b[?1049l"), "{text:?}");
    assert!(text.contains("\x1b[?25h"), "the cursor is shown again");
    setup.kill(&second);
}

#[test]
fn a_watched_list_gives_the_terminal_back_when_it_is_stopped() {
    let setup = Setup::new();
    setup.finished("true");
    let watching = OnTerminal::start(setup.command(&["list", "--watch"]), 80, 10);
    watching.wait_for("the list is shown", |picture| picture.contains("1 finished"));
    watching.send(Signal::TSTP);
    wait_until("the terminal is given back", || watching.text().ends_with("\x1b[?1049l"));
    let pid = watching.pid();
    wait_until("the program is stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
    });
    send(pid, Signal::CONT);
    watching.wait_for("the list is shown again", |picture| picture.contains("1 finished"));
    watching.send(Signal::TERM);
    let (status, text) = watching.end();
    assert_eq!(status, Some(143));
    assert_eq!(text.matches("\x1b[?1049h").count(), 2);
    assert!(text.ends_with("\x1b[?1049l"), "{text:?}");
}

#[test]
fn a_list_is_watched_only_on_a_terminal() {
    let answer = Setup::new().run(&["list", "--watch"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""));
    assert!(answer.stderr.contains("standard output is not one\nhint: use homing list --json"), "{answer:?}");
}

#[test]
fn a_watched_list_shows_a_change_that_is_committed_slowly() {
    const SLOWLY: [&str; 8] = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:delay_exit=400000",
    ];
    let works = std::process::Command::new(SLOWLY[0]).args(&SLOWLY[1..]).arg("true").output();
    if !works.is_ok_and(|tried| tried.status.success()) {
        return testkit::skip("strace(1) does not work here, and without it the window is too short to hit");
    }
    let setup = Setup::new();
    let id = setup.finished("exit 3");
    let watching = OnTerminal::start(setup.command(&["list", "--watch"]), 80, 10);
    watching.wait_for("the follow-up is shown", |picture| picture.contains("pending"));
    // The ledger's file is written well before the commit is visible.
    let ack = setup.command(&["ack", &id]);
    let mut slow = std::process::Command::new(SLOWLY[0]);
    slow.args(&SLOWLY[1..]).arg(ack.get_program()).args(ack.get_args());
    slow.envs(ack.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(setup.home.scratch());
    let acknowledged = crate::setup::answer(slow);
    assert_eq!(acknowledged.status, Some(0), "{acknowledged:?}");
    watching.wait_for("the acknowledgement is shown", |picture| {
        picture.contains("exit 3") && !picture.contains("pending")
    });
    watching.send(Signal::INT);
    assert_eq!(watching.end().0, Some(130));
}
