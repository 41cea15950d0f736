//! `homing list` and `homing show`, on terminals and in pipes.

use crate::setup::Setup;

#[test]
fn a_list_in_a_pipe_has_a_header_and_tabs() {
    let setup = Setup::new();
    let id = setup.finished("exit 3");
    let answer = setup.run(&["list"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = answer.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["ID", "STATE", "LAUNCHED", "DURATION", "FOLLOW-UP", "SESSION", "COMMAND"]);
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
    assert_eq!(answer.stderr, "homing: note: showing the newest 2; use --limit 0 to show all\n");
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
    let id =
        setup.finished_with(&["--name", evil], &format!("# {evil}\nprintf '\\033[31mout\\033[0m\\007\\n'"));
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
    setup.kill(&id);
}
