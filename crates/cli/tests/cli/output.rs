//! `homing output`: complete, partial, followed, and with a closed pipe.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::wait_until;

use crate::setup::{Running, Setup};

#[test]
fn output_is_clean_text_unless_raw() {
    let setup = Setup::new();
    let id = setup.finished("printf '10%%\\r100%%\\n\\033[31mred\\033[0m'");
    assert_eq!(setup.run(&["output", &id]).stdout, "100%\nred");
    assert_eq!(setup.run(&["output", &id, "--raw"]).stdout, "10%\r100%\n\x1b[31mred\x1b[0m");
}

#[test]
fn output_is_read_from_any_offset() {
    let setup = Setup::new();
    let id = setup.finished("printf 'one two'");
    assert_eq!(setup.run(&["output", &id, "--from", "4"]).stdout, "two");
    assert_eq!(setup.run(&["output", &id, "--tail-bytes", "3"]).stdout, "two");
    assert_eq!(setup.run(&["output", &id, "--tail-bytes", "300"]).stdout, "one two");
    assert_eq!(setup.run(&["output", &id, "--from", "300"]).stdout, "");
    assert_eq!(
        setup.run(&["output", &id, "--from", "4", "--json"]).json(),
        json!({"id": id, "from": 4, "next": 7, "total_bytes": 7, "omitted_bytes": 0, "text": "two"})
    );
}

#[test]
fn the_last_lines_are_printed() {
    let setup = Setup::new();
    let id = setup.finished("seq 1 100000");
    let tail = |id: &str, lines: &str| setup.run(&["output", id, "--tail", lines]).stdout;
    assert_eq!(tail(&id, "2"), "99999\n100000\n");
    assert_eq!(setup.run(&["logs", "-n", "1", &id]).stdout, "100000\n");
    assert_eq!(tail(&id, "0"), "");
    // More than one piece is read backwards.
    assert!(tail(&id, "50000").starts_with("50001\n50002\n"));
    assert!(tail(&id, "99999").starts_with("2\n3\n") && tail(&id, "100000").starts_with("1\n2\n"));
    assert_eq!(tail(&id, "18446744073709551615").lines().count(), 100_000);
    assert_eq!(setup.run(&["output", &id, "--tail", "2", "--raw"]).stdout, "99999\n100000\n");
    assert_eq!(
        setup.run(&["output", &id, "--tail", "1", "--json"]).json(),
        json!({"id": id, "from": 588_888, "next": 588_895, "total_bytes": 588_895, "omitted_bytes": 0, "text": "100000\n"})
    );

    let incomplete = setup.finished("printf 'a\\n\\nb'");
    assert_eq!(tail(&incomplete, "1"), "b");
    assert_eq!(tail(&incomplete, "2"), "\nb");
    assert_eq!(tail(&incomplete, "3"), "a\n\nb");
    assert_eq!(tail(&setup.finished("true"), "3"), "");
}

#[test]
fn the_last_lines_begin_behind_output_that_was_not_kept() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--output-head", "8", "--output-tail", "4k"], "seq 1 100000");
    let kept = setup.run(&["output", &id, "--tail", "5000"]).stdout;
    assert!(kept.ends_with("\n99999\n100000\n") && !kept.contains("omitted"), "{kept}");
    assert!((4000..=4096).contains(&kept.len()), "{}", kept.len());
    assert_eq!(setup.run(&["output", &id, "--tail", "3"]).stdout, "99998\n99999\n100000\n");
    // Head, gap and tail are within one piece.
    let short = setup.finished_with(&["--output-head", "8", "--output-tail", "4k"], "seq 1 3000");
    assert_eq!(setup.run(&["output", &short, "--tail", "3"]).stdout, "2998\n2999\n3000\n");
    let kept = setup.run(&["output", &short, "--tail", "2000"]).stdout;
    assert!(kept.ends_with("\n3000\n") && !kept.contains("omitted") && kept.len() > 4000, "{kept}");
}

#[test]
fn matching_lines_are_printed() {
    let setup = Setup::new();
    let id = setup.finished("seq 1 30; printf '\\033[31merror\\033[0m: 7'");
    let grep = |arguments: &[&str]| setup.run(&[&["output", &id, "--grep"], arguments].concat()).stdout;
    assert_eq!(grep(&["7$"]), "7\n17\n27\nerror: 7\n");
    assert_eq!(grep(&["7$", "--tail", "5"]), "27\nerror: 7\n", "among the last lines");
    assert_eq!(grep(&["7$", "--follow"]), "7\n17\n27\nerror: 7\n", "all of them");
    assert_eq!(grep(&["^no such line$"]), "");
    let gap = setup.finished_with(&["--output-head", "8", "--output-tail", "4k"], "seq 1 3000");
    let answer = setup.run(&["output", &gap, "--grep", "^3000$"]);
    assert_eq!(answer.stdout, "3000\n");
    assert!(answer.stderr.ends_with(" bytes were not kept, so they were not searched\n"), "{answer:?}");
    for conflict in ["--raw", "--json"] {
        assert_eq!(setup.run(&["output", &id, "--grep", "7", conflict]).status, Some(2));
    }
}

#[test]
fn following_begins_with_the_last_ten_lines() {
    let setup = Setup::new();
    let id = setup.launch("seq 1 30; while [ ! -e go ]; do sleep 0.01; done; echo last");
    wait_until("the lines are written", || setup.run(&["output", &id]).stdout.ends_with("30\n"));
    let mut following = Running::start(setup.command(&["logs", "-f", &id]));
    following.read_until("21\n22\n23\n24\n25\n26\n27\n28\n29\n30\n");
    let mut exact = Running::start(setup.command(&["output", "-f", "--raw", &id]));
    exact.read_until("\n30\n");
    setup.file("go", "");
    assert_eq!(following.end().stdout, "last\n");
    assert_eq!(exact.end().stdout, "last\n");
    assert!(setup.run(&["output", "-f", &id]).stdout.starts_with("22\n"), "text");
    for complete in [&["--raw"][..], &["--from", "0"], &["--tail", "31"], &["--json"]] {
        let shown = setup.run(&[&["output", "-f", &id], complete].concat()).stdout;
        assert!(shown.starts_with("1\n") || shown.contains("\"text\":\"1\\n"), "{complete:?}: {shown}");
    }
}

#[test]
fn omitted_bytes_are_reported() {
    let setup = Setup::new();
    setup.file("homing/config.toml", "[defaults]\noutput_head_bytes = 8\noutput_tail_bytes = 4096\n");
    let id = setup.finished("seq 1 100000");
    let job = setup.job(&id);
    let omitted = job["output"]["omitted_bytes"].as_u64().unwrap();
    assert!(omitted > 500_000, "{job}");

    let text = setup.run(&["output", &id]).stdout;
    let mut lines = text.lines().skip(4);
    let named = lines.next().unwrap().replace(',', "");
    assert_eq!(named, format!("… {omitted} bytes omitted …"));
    assert!(
        text.starts_with("1\n2\n3\n4\n") && text.ends_with("\n99999\n100000\n"),
        "head and tail are kept"
    );

    let document = setup.run(&["output", &id, "--json"]).json();
    assert_eq!((&document["text"], &document["omitted_bytes"]), (&text.into(), &omitted.into()));

    let raw = setup.run(&["output", &id, "--raw"]);
    assert!(!raw.stdout.contains("omitted") && raw.stdout.starts_with("1\n2\n3\n4\n"));
    assert!(
        raw.stderr.replace(',', "").contains(&format!("note: {omitted} bytes omitted at offset 8")),
        "{}",
        raw.stderr
    );
}

#[test]
fn following_ends_with_the_job() {
    let setup = Setup::new();
    let id = setup.launch("echo first; while [ ! -e go ]; do sleep 0.01; done; echo last");
    let mut following = Running::start(setup.command(&["output", "--follow", &id]));
    following.read_until("first\n");
    setup.file("go", "");
    let rest = following.end();
    assert_eq!((rest.status, rest.stdout.as_str(), rest.stderr.as_str()), (Some(0), "last\n", ""));
}

#[test]
fn followed_documents_are_contiguous() {
    let setup = Setup::new();
    let id = setup.launch("printf 'first\\nsec'; while [ ! -e go ]; do sleep 0.01; done; printf 'ond\\nend'");
    let mut following = Running::start(setup.command(&["output", "--follow", "--json", &id]));
    following.read_until("\n");
    setup.file("go", "");
    let rest = following.end();
    let documents: Vec<Value> = rest.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&documents[0]["from"], &documents[0]["text"]), (&json!(6), &json!("second\n")));
    assert_eq!(documents[0]["next"], documents[1]["from"]);
    assert_eq!((&documents[1]["next"], &documents[1]["text"]), (&json!(16), &json!("end")));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let setup = Setup::new();
    let id = setup.finished("seq 1 100000");
    for arguments in [&["output", id.as_str()][..], &["output", &id, "--raw"], &["output", &id, "--json"]] {
        let mut command = setup.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{arguments:?}");
    }
}

#[test]
fn a_closed_pipe_neither_ends_the_job_nor_acknowledges_it() {
    let setup = Setup::new();
    let script = "while [ ! -e go ]; do echo line; sleep 0.01; done";
    let mut staying = Running::start(setup.command(&["run", "--wait", script]));
    staying.read_until("line\n");
    staying.close_stdout();
    assert_eq!(staying.end().status, Some(141));
    let job = setup.run(&["list", "--json"]).json()[0].clone();
    assert_eq!(job["state"], "running");
    setup.file("go", "");
    let id = job["id"].as_str().unwrap();
    setup.wait_for_end(id);
    assert_eq!(setup.follow_up(id), "pending");
}

#[test]
fn a_write_error_is_reported() {
    let setup = Setup::new();
    let id = setup.finished("echo printed");
    let run_on_full_disk = |arguments: &[&str]| {
        let mut command = setup.command(arguments);
        command.stdout(std::fs::File::create("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [
        &["list"][..],
        &["show", &id],
        &["wait", &id],
        &["output", &id],
        &["output", "--raw", &id],
        &["output", "--follow", &id],
        &["result", &id],
        &["kill", &id],
        &["follow-ups"],
        &["ack", &id],
        &["prune"],
        &["doctor"],
        &["setup", "claude-code"],
    ] {
        for json in [&[][..], &["--json"]] {
            let arguments = [arguments, json].concat();
            if arguments.contains(&"--raw") && arguments.contains(&"--json") {
                continue;
            }
            let (status, stderr) = run_on_full_disk(&arguments);
            assert_eq!(status, Some(1), "{arguments:?}: {stderr}");
            assert!(
                stderr.contains("homing: error: cannot write the output: No space left"),
                "{arguments:?}: {stderr}"
            );
        }
    }
    for arguments in [&["completions", "bash"][..], &["man"], &["--help"], &["--version"]] {
        let (status, stderr) = run_on_full_disk(arguments);
        assert_eq!(status, Some(1), "{arguments:?}: {stderr}");
        assert!(
            stderr.contains("homing: error: cannot write the output: No space left"),
            "{arguments:?}: {stderr}"
        );
    }
    // Other errors go to standard error if standard output cannot be written.
    let (status, stderr) = run_on_full_disk(&["show", "0123", "--json"]);
    assert_eq!(status, Some(3), "{stderr}");
    assert!(stderr.starts_with("homing: error: no job 0123"), "{stderr}");
}

#[test]
fn a_launch_with_a_write_error_prints_the_job_id_to_standard_error() {
    let setup = Setup::new();
    for arguments in [&["run", "true"][..], &["run", "--json", "true"]] {
        let mut command = setup.command(arguments);
        command.stdout(std::fs::File::create("/dev/full").unwrap()).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let newest = setup.run(&["list", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
        assert!(stderr.contains(&format!("note: job {newest} was launched")), "{stderr}");
        setup.wait_for_end(&newest);
    }
}

#[test]
fn a_job_has_output_limits_of_its_own() {
    let setup = Setup::new();
    let run = ["run", "--wait", "--json", "--output-head", "8", "--output-tail", "4k", "seq 1 100000"];
    let job = setup.run(&run).json();
    assert_eq!(job["output"]["total_bytes"], 588_895);
    assert_eq!(job["output"]["omitted_bytes"], 588_895 - 8 - 4096);
    assert_eq!(job["output"]["dropped_bytes"], 0);
    let text = setup.run(&["output", job["id"].as_str().unwrap()]).stdout;
    assert!(text.starts_with("1\n2\n3\n4\n…") && text.ends_with("\n99999\n100000\n"), "{text}");

    for (option, value) in [("--output-tail", "0"), ("--output-tail", "4095"), ("--output-head", "65G")] {
        let refused = setup.run(&["run", option, value, "true"]);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""), "{option} {value}");
        assert!(
            refused.stderr.contains("bytes is ") && refused.stderr.contains(": use "),
            "{}",
            refused.stderr
        );
    }
    setup.file("homing/config.toml", "[defaults]\noutput_tail_bytes = 100\n");
    assert!(
        setup
            .run(&["run", "true"])
            .stderr
            .contains("output_tail_bytes is 100: use 4,096 to 68,719,476,736 bytes")
    );
}
