//! Output is exact and bounded.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{pattern, wait_until};

use crate::setup::{Running, Setup, answer};

fn id_of(job: &Value) -> &str {
    job["id"].as_str().expect("an id")
}

#[test]
fn output_below_the_limits_is_kept_exactly() {
    let setup = Setup::new();
    for count in [0, 1, 4_096, 300_001] {
        let job = setup.finished(&[], &["write", &count.to_string()]);
        assert_eq!(job["output"], json!({"total_bytes": count, "omitted_bytes": 0, "dropped_bytes": 0}));
        assert!(setup.output(id_of(&job)) == pattern(0, count), "{count} bytes");
    }
}

#[test]
fn both_streams_are_kept_in_the_order_written() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["print", "one", ",", "print-error", "two", ",", "print", "three"]);
    assert_eq!(setup.text(id_of(&job)), "one\ntwo\nthree\n");
}

#[test]
fn the_foreground_prints_the_exact_bytes() {
    let setup = Setup::new();
    let answer = setup.run(&setup.run_words(&["--wait"], &["write", "3000000", ",", "exit", "5"]));
    assert_eq!(answer.status, Some(5), "{}", answer.stderr);
    assert!(answer.stdout == pattern(0, 3_000_000), "{} bytes", answer.stdout.len());
}

#[test]
fn the_foreground_can_split_the_streams() {
    let setup = Setup::new();
    let actions = ["write", "100000", ",", "write-error", "50000"];
    let output = setup.command(&setup.run_words(&["--wait", "--split-stderr"], &actions)).output();
    let output = output.expect("the program runs");
    assert!(output.stdout == pattern(0, 100_000), "{} bytes", output.stdout.len());
    assert!(output.stderr == pattern(0, 50_000), "{} bytes", output.stderr.len());
    assert_eq!(setup.job("last")["output"]["total_bytes"], 150_000);
}

#[test]
fn the_middle_of_a_large_output_is_omitted_and_counted() {
    const KEPT: usize = 64 << 10;
    let setup = Setup::new();
    for total in [2 * KEPT, 2 * KEPT + 1, 1_000_003] {
        let limits = ["--output-head", "64k", "--output-tail", "64k"];
        let job = setup.finished(&limits, &["write", &total.to_string()]);
        let omitted = total - 2 * KEPT;
        assert_eq!(
            job["output"],
            json!({"total_bytes": total, "omitted_bytes": omitted, "dropped_bytes": 0})
        );
        let id = id_of(&job);
        let output = setup.output(id);
        assert!(output.starts_with(&pattern(0, KEPT)), "the start of {total} bytes");
        assert!(output.ends_with(&pattern((total - KEPT) as u64, KEPT)), "the end of {total} bytes");
        let from = (total - 100).to_string();
        let end = setup.run(&["output", id, "--raw", "--from", &from]);
        assert_eq!(end.stdout, pattern((total - 100) as u64, 100));
    }
}

#[test]
fn the_files_of_a_job_stay_within_its_limits() {
    let setup = Setup::new();
    let limits = ["--output-head", "256k", "--output-tail", "256k"];
    let job = setup.finished(&limits, &["write", "30000000"]);
    assert_eq!(job["output"]["total_bytes"], 30_000_000);
    let size = size_of(&setup.home.path().join("jobs").join(id_of(&job)));
    assert!(size <= (512 << 10) + (64 << 10), "{size} bytes");
}

fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").metadata());
    entries.map(|metadata| metadata.expect("a file").len()).sum()
}

#[test]
fn a_part_of_the_output_is_found_by_lines_and_by_text() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["echo-args", "alpha", "beta", "gamma", "delta"]);
    let lines = |arguments: &[&str]| setup.run(&[&["output", id_of(&job)], arguments].concat()).stdout;
    assert_eq!(lines(&["--tail", "2"]), b"gamma\ndelta\n");
    assert_eq!(lines(&["--grep", "^[ab]"]), b"alpha\nbeta\n");
    assert_eq!(lines(&["--raw", "--tail-bytes", "6"]), b"delta\n");
}

#[test]
fn following_prints_new_output_until_the_job_ends() {
    let setup = Setup::new();
    let go = setup.path("go");
    let id = setup.launch(&[], &["print", "first", ",", "wait-for-file", &go, ",", "write", "100000"]);
    wait_until("it has printed", || setup.output(&id) == b"first\n");
    let mut follow = setup.command(&["output", &id, "--raw", "--follow"]);
    let reader = follow.stdout(Stdio::piped()).spawn().expect("it starts");
    fs::write(&go, "").expect("a file");
    let followed = answer(&reader.wait_with_output().expect("it ends"));
    assert!(
        followed.stdout == [b"first\n", &pattern(0, 100_000)[..]].concat(),
        "{} bytes",
        followed.stdout.len()
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let setup = Setup::new();
    let job = setup.finished(&[], &["write", "3000000"]);
    let mut output = setup.command(&["output", id_of(&job), "--raw"]);
    let mut child = output.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut start = [0; 10];
    child.stdout.take().expect("a pipe").read_exact(&mut start).expect("output");
    let ended = answer(&child.wait_with_output().expect("it ends"));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(start[..], pattern(0, 10));
}

#[test]
fn a_reader_that_is_killed_does_not_disturb_the_job() {
    let setup = Setup::new();
    let go = setup.path("go");
    let id = setup.launch(&[], &["wait-for-file", &go, ",", "write", "200000", ",", "exit", "6"]);
    drop(Running::start(&mut setup.command(&["output", &id, "--raw", "--follow"])));
    fs::write(&go, "").expect("a file");
    let job = setup.end_of(&id);
    assert_eq!(job["outcome"], json!({"kind": "exited", "exit_code": 6}));
    assert!(setup.output(&id) == pattern(0, 200_000));
}
