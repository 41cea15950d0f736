//! Checks of the results, and ways to run the program under difficult conditions.

use std::fs;
use std::io::{PipeReader, PipeWriter};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use homing::core::OutputSize;
use homing::{Job, JobId};
use serde_json::Value;
use testkit::wait_until;

use crate::setup::{Setup, outcome, stdout};

/// Serialises the tests that start a thousand processes or write gigabytes.
pub(crate) fn whole_machine() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same command, run by `outer`: a program with its arguments, which then runs its remaining arguments.
pub(crate) fn through<S: AsRef<std::ffi::OsStr>>(outer: &[S], inner: &Command) -> Command {
    let mut command = Command::new(&outer[0]);
    command.args(&outer[1..]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// The same command, run by a shell after the script `shell`. `$0` in it is `argument`.
pub(crate) fn after(shell: &str, argument: &str, inner: &Command) -> Command {
    through(&["bash", "-c", &format!("{shell}\nexec \"$@\""), argument], inner)
}

/// All jobs of `homing list`, newest first. A job that has had no supervisor until now counts as never started.
pub(crate) fn list(mut program: Command) -> Vec<Value> {
    let list = program.args(["list", "--limit", "0", "--json"]).env("FAILPOINTS", "start_grace=return(0)");
    let Value::Array(jobs) = json(&list.output().expect("the program runs")) else { panic!("no list") };
    jobs
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).expect("JSON")
}

/// The ids of jobs, in their order.
pub(crate) fn ids(jobs: &[Job]) -> Vec<JobId> {
    jobs.iter().map(|job| job.id).collect()
}

/// The standard error of a refused command, which must contain the error and a hint. Standard output must be empty.
pub(crate) fn refusal(output: &Output) -> String {
    let message = String::from_utf8(output.stderr.clone()).expect("text");
    assert!(!output.status.success() && output.stdout.is_empty(), "it was not refused: {output:#?}");
    assert!(message.starts_with("homing: error: "), "{message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

/// Asserts that a launch under difficult conditions was either refused, without a job and without running the command,
/// or created a job that is reported correctly. The job writes `ran` into the file `ran`.
pub(crate) fn assert_no_half_job(launched: &Output, list: impl Fn() -> Vec<Value>, ran: &Path) {
    let is_finished = |jobs: &[Value]| jobs.iter().all(|job| job["state"] == "finished");
    let mut jobs = list();
    wait_until("all launched jobs have finished", || {
        is_finished(&jobs) || {
            jobs = list();
            false
        }
    });
    let ran = fs::read_to_string(ran).unwrap_or_default();
    let result = (launched.status.success(), ran.as_str(), &jobs);
    if jobs.is_empty() {
        let _ = refusal(launched);
        assert_eq!(ran, "", "the launch was refused, but the command ran");
        return;
    }
    assert_eq!(jobs.len(), 1, "{result:#?}");
    let outcome = &jobs[0]["outcome"];
    match outcome["kind"].as_str() {
        Some("exited") => {
            assert_eq!(
                (result.0, result.1, &outcome["exit_code"]),
                (true, "ran\n", &0.into()),
                "{result:#?}"
            );
        }
        Some("failed_to_start") => assert_eq!((result.0, result.1), (false, ""), "{result:#?}"),
        Some("lost") => {
            assert_eq!((result.1, outcome["reason"].as_str()), ("", Some("never_started")), "{result:#?}");
        }
        _ => panic!("{result:#?}"),
    }
    let reported_by_launch = outcome["kind"] == "failed_to_start";
    let follow_up = jobs[0]["follow_up"]["state"].as_str().expect("a state");
    assert!(follow_up == "pending" || (reported_by_launch && follow_up == "acknowledged"), "{jobs:#?}");
}

/// Everything below a directory, directories included, sorted. Links are not followed.
pub(crate) fn everything_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        // The entry may have been removed meanwhile.
        if fs::symlink_metadata(&path).is_ok_and(|status| status.is_dir()) {
            found.extend(everything_below(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// The permissions of a file or directory, in the form of chmod(1).
pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

/// The names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

/// Space on disk that a directory uses, with everything in it.
pub(crate) fn disk_usage(directory: &Path) -> u64 {
    let blocks = |path: &PathBuf| fs::symlink_metadata(path).map_or(0, |status| status.blocks());
    everything_below(directory).iter().map(blocks).sum::<u64>() * 512
}

/// Asserts that the kept output of a job is correct, byte for byte, and that all other bytes are counted as omitted or
/// dropped. Returns the kept ranges.
pub(crate) fn assert_output(setup: &Setup, job: &Job, written: &[u8]) -> Vec<std::ops::Range<usize>> {
    outcome(job);
    let mut pieces: Vec<std::ops::Range<usize>> = Vec::new();
    let mut from = 0;
    loop {
        let chunk = setup.homing.output(job.id, from, 1 << 20).expect("its output can be read");
        if chunk.bytes.is_empty() {
            break;
        }
        let start = usize::try_from(chunk.offset).expect("an offset");
        let piece = start..start + chunk.bytes.len();
        assert!(written.get(piece.clone()) == Some(&chunk.bytes[..]), "the bytes in {piece:?} are wrong");
        from = chunk.end();
        match pieces.last_mut() {
            Some(last) if last.end == start => last.end = piece.end,
            _ => pieces.push(piece),
        }
    }
    let total_bytes = written.len() as u64;
    let kept: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let dropped_bytes = job.output.dropped_bytes;
    assert!(kept + dropped_bytes <= total_bytes, "{kept} kept, {dropped_bytes} dropped of {total_bytes}");
    let size = OutputSize { total_bytes, omitted_bytes: total_bytes - kept - dropped_bytes, dropped_bytes };
    assert_eq!(job.output, size);
    pieces
}

/// Bytes that look random, contain every value, and are the same in each call.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A barrier: processes that read from the first end continue when the second end is dropped.
pub(crate) fn starting_line() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("a pipe")
}
