//! `homing run --wait` is a faithful foreground: output, order, standard input and exit status are those of the command.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use homing_supervisor::platform::pipe::nonblocking_pipe;
use homing_supervisor::platform::wait::{AsWaitSource, wait};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use testkit::wait_until;

use crate::setup::{Running, Setup, answer};

/// More than all buffers between a job and a reader together.
const LARGE: usize = 50 << 20;

/// Writes a file with all byte values in an order that does not repeat.
fn archive(setup: &Setup, bytes: usize) -> (PathBuf, Vec<u8>) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = Vec::with_capacity(bytes);
    while content.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    let path = setup.home.scratch().join("archive");
    std::fs::write(&path, &content).expect("the file is written");
    (path, content)
}

/// Runs `homing run` with these options and a script, and returns its status and its two streams as bytes.
fn run(setup: &Setup, options: &[&str], script: &str) -> (Option<i32>, Vec<u8>, String) {
    let mut command = setup.command(&[&["run", "--wait"], options, &[script]].concat());
    let output = command.output().expect("the program runs");
    (output.status.code(), output.stdout, String::from_utf8(output.stderr).expect("text"))
}

/// The only job.
fn job(setup: &Setup) -> serde_json::Value {
    setup.run(&["list", "--json"]).json()[0].clone()
}

fn total_bytes(setup: &Setup) -> u64 {
    job(setup)["output"]["total_bytes"].as_u64().unwrap_or_default()
}

#[test]
fn an_archive_is_the_same_behind_a_pipe_and_in_a_file() {
    let setup = Setup::new();
    let (path, content) = archive(&setup, LARGE);
    let script = format!("cat {}", path.display());
    let (status, stdout, stderr) = run(&setup, &[], &script);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    assert!(stdout == content, "{} of {} bytes", stdout.len(), content.len());

    let copy = setup.home.scratch().join("copy");
    let mut command = setup.command(&["run", "--wait", &script]);
    let status = command.stdout(File::create(&copy).unwrap()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(std::fs::read(&copy).unwrap() == content, "the file differs");
}

#[test]
fn a_pipe_whose_writes_do_not_wait_gets_every_byte() {
    let setup = Setup::new();
    let (path, content) = archive(&setup, 8 << 20);
    let (reader, writer) = nonblocking_pipe().unwrap();
    let mut command = setup.command(&["run", "--wait", &format!("cat {}", path.display())]);
    let mut child = command.stdout(writer).spawn().unwrap();
    drop(command);
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 65_536]);
    loop {
        wait(&[reader.as_wait_source()], None).unwrap();
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(_) => {}
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(bytes == content, "{} bytes", bytes.len());
}

#[test]
fn a_job_waits_for_a_slow_reader_and_no_byte_is_lost() {
    for options in [&[][..], &["--split-stderr"], &["--output-head", "0", "--output-tail", "4k"]] {
        let setup = Setup::new();
        let (path, content) = archive(&setup, LARGE);
        let script = format!("cat {}", path.display());
        let mut command = setup.command(&[&["run", "--wait"], options, &[script.as_str()]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The job has written as much as fits without a reader. It would end at once if it did not wait.
        let enough = if options.contains(&"4k") { 100_000 } else { 2_000_000 };
        wait_until("the buffers are full", || total_bytes(&setup) > enough);
        let output = child.stdout.take().map(|mut stdout| {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap()
        });
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()), "{options:?}");
        assert!(
            output.as_ref() == Some(&content),
            "{options:?}: {:?} bytes",
            output.map(|bytes| bytes.len())
        );
        assert_eq!(total_bytes(&setup), LARGE as u64);
    }
}

#[test]
fn a_reader_that_ends_does_not_hold_up_the_job() {
    let setup = Setup::new();
    let (path, _) = archive(&setup, LARGE);
    for (end, status) in [("close", Some(141)), ("kill", None)] {
        let mut running =
            Running::start(setup.command(&["run", "--wait", &format!("cat {}", path.display())]));
        wait_until("the buffers are full", || total_bytes(&setup) > 2_000_000);
        if end == "close" {
            running.close_stdout();
        } else {
            running.send(Signal::KILL);
            running.close_stdout();
        }
        let ended = running.end();
        assert_eq!(ended.status, status, "{ended:?}");
        let job = job(&setup);
        let id = job["id"].as_str().unwrap();
        if end == "close" {
            assert!(
                ended.stderr.contains(&format!("the reader of the output has ended; job {id} keeps running")),
                "{ended:?}"
            );
        }
        setup.wait_for_end(id);
        assert_eq!(setup.job(id)["outcome"]["exit_code"], 0);
        assert_eq!(setup.follow_up(id), "pending");
    }
}

#[test]
fn a_wait_that_runs_out_leaves_the_job_running() {
    let setup = Setup::new();
    let script = "until [ -e go ]; do sleep 0.01; done; seq 1 1000000";
    let mut command = setup.command(&["run", "--wait=1s", script]);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(75), 0), "{output:?}");
    setup.file("go", "");
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    setup.wait_for_end(&id);
    assert_eq!(total_bytes(&setup), 6_888_896);
}

#[test]
fn a_blocked_reader_does_not_extend_the_wait() {
    let setup = Setup::new();
    let (path, _) = archive(&setup, LARGE);
    let mut command = setup.command(&["run", "--wait=1s", &format!("cat {}", path.display())]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let unread = child.stdout.take().unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(75));
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(stderr.contains(&format!("stopped waiting; job {id} keeps running")), "{stderr}");
    setup.wait_for_end(&id);
    drop(unread);
}

#[test]
fn both_streams_arrive_in_the_order_written() {
    let setup = Setup::new();
    let script = "for i in $(seq 300); do echo out $i; echo err $i >&2; done";
    let expected: String = (1..=300).map(|i| format!("out {i}\nerr {i}\n")).collect();
    let (status, stdout, stderr) = run(&setup, &[], script);
    assert_eq!((status, String::from_utf8(stdout).unwrap(), stderr), (Some(0), expected, String::new()));
}

#[test]
fn split_streams_are_complete_and_the_result_has_both() {
    let setup = Setup::new();
    let script = "for i in $(seq 300); do echo out $i; echo err $i >&2; done; exit 3";
    let lines = |name: &str| (1..=300).map(|i| format!("{name} {i}\n")).collect::<String>();
    let (status, stdout, stderr) = run(&setup, &["--split-stderr"], script);
    assert_eq!((status, String::from_utf8(stdout).unwrap(), stderr), (Some(3), lines("out"), lines("err")));
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    for command in ["output", "result"] {
        let text = setup.run(&[command, &id]).stdout;
        assert!(text.contains("out 300\n") && text.contains("err 300\n"), "{command}: {text}");
    }
    assert_eq!(setup.run(&["output", &id]).stdout.len(), lines("out").len() + lines("err").len());
}

#[test]
fn large_split_streams_are_complete_at_both_readers() {
    let setup = Setup::new();
    let (path, content) = archive(&setup, 8 << 20);
    let script = format!("cat {0} & cat {0} >&2; wait", path.display());
    let output = setup.command(&["run", "--wait", "--split-stderr", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == content && output.stderr == content);
}

#[test]
fn output_after_the_death_of_a_supervisor_is_not_waited_for() {
    for options in [&[][..], &["--split-stderr"]] {
        let setup = Setup::new();
        let script = setup.marked("echo first; echo second >&2; exec sleep MARK");
        let mut running =
            Running::start(setup.command(&[&["run", "--wait"], options, &[script.as_str()]].concat()));
        if options.is_empty() {
            running.read_until("first\nsecond\n");
        } else {
            running.read_until("first\n");
            running.read_error_until("second\n");
        }
        let supervisor = setup.home.processes().into_iter();
        let supervisor = supervisor.filter(|process| process.command_line.contains("__supervise"));
        let supervisor = supervisor.map(|process| process.pid).next().expect("a supervisor");
        crate::setup::send(supervisor, Signal::KILL);
        let ended = running.end();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(125), ""), "{ended:?}");
        assert!(ended.stderr.contains("lost"), "{ended:?}");
        assert!(!ended.stderr.contains("second"), "{ended:?}");
        setup.run(&["recover"]);
    }
}

#[test]
fn missing_bytes_are_an_error_although_the_job_succeeded() {
    let setup = Setup::new();
    let options = ["--key", "k", "--output-head", "10"];
    let (status, stdout, stderr) = run(&setup, &options, "seq 1 1000000");
    assert_eq!((status, stdout.len(), stderr.as_str()), (Some(0), 6_888_896, ""));
    // The job has finished, so nothing waits for this reader.
    let (status, stdout, stderr) = run(&setup, &options, "seq 1 1000000");
    let missing = 6_888_896 - 10 - (4 << 20);
    assert_eq!((status, stdout.len()), (Some(74), 6_888_896 - missing), "{stderr}");
    let stderr = stderr.replace(',', "");
    assert!(stderr.contains(&format!("note: {missing} bytes omitted at offset 10\n")), "{stderr}");
    assert!(
        stderr.contains(&format!("succeeded but {missing} bytes of its output are missing here")),
        "{stderr}"
    );
    // The status of a job that failed is more important.
    let options = ["--key", "l", "--output-head", "10"];
    for _ in 0..2 {
        assert_eq!(run(&setup, &options, "seq 1 1000000; exit 3").0, Some(3));
    }
}

#[test]
fn a_write_error_names_the_job_that_keeps_running() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "--wait", "echo printed"]);
    let output = command.stdout(File::create("/dev/full").unwrap()).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&format!("note: job {id} keeps running")), "{stderr}");
    assert!(stderr.contains("error: cannot write the output: No space left"), "{stderr}");
    setup.wait_for_end(&id);
}

#[test]
fn split_stderr_needs_a_stream() {
    let setup = Setup::new();
    for arguments in
        [&["run", "--split-stderr", "true"][..], &["run", "--wait", "--json", "--split-stderr", "true"]]
    {
        assert_eq!(setup.run(arguments).status, Some(2), "{arguments:?}");
    }
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n");
}

/// A pseudo-terminal: the side of the program, and the side of the terminal.
fn terminal() -> (File, File) {
    let terminal =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&terminal).expect("the test owns the terminal");
    unlockpt(&terminal).expect("the test owns the terminal");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().expect("text");
    let program = File::options().read(true).write(true).open(name).expect("the other side");
    (program, terminal.into())
}

/// What a terminal shows of a command. Line ends are LF again.
fn shown(mut command: Command, input: Stdio) -> (Option<i32>, String) {
    let (program, mut terminal) = terminal();
    let copy = || program.try_clone().expect("a copy");
    command.stdin(input).stdout(copy()).stderr(copy());
    let mut child = command.spawn().expect("the program runs");
    // The terminal ends when no program has it open.
    drop(command);
    drop(program);
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut piece) {
        bytes.extend_from_slice(&piece[..count]);
    }
    let status = child.wait().expect("it ends").code();
    (status, String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

#[test]
fn a_terminal_gets_text_line_control_and_colors_only() {
    let setup = Setup::new();
    // Clipboard, title, DCS, 8-bit CSI, a sequence in two writes, a question, invalid UTF-8, and colors.
    let script = r"printf 'a\033]52;c;cm0gLXJmIC8=\007b\033]0;t\033\\c\033P+q\033\\d\2332Je\033['; sleep 0.1; \
        printf '31mred\033[0m \033[6n10%%\r20%%\033[K\303\050\n\033[1mbold'";
    let (status, text) = shown(setup.command(&["run", "--wait", script]), Stdio::null());
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    let expected = "abcd\u{fffd}2Je\x1b[31mred\x1b[0m 10%\r20%\x1b[K\u{fffd}(\n\x1b[1mbold\x1b[0m";
    assert_eq!((status, text), (Some(0), format!("homing: job {id} started\n{expected}")));
    // The same job, with the streams apart: both are terminals.
    let (status, text) = shown(
        setup.command(&["run", "--wait", "--split-stderr", r"printf 'x\033]0;t\007y\n' >&2"]),
        Stdio::null(),
    );
    assert!(status == Some(0) && text.ends_with(" started\nxy\n"), "{text:?}");
}

#[test]
fn a_launch_on_a_terminal_says_whether_the_session_will_be_notified() {
    let setup = Setup::new();
    let (status, text) = shown(setup.command(&["run", "true"]), Stdio::null());
    let id = job(&setup)["id"].as_str().unwrap().to_owned();
    let expected = format!(
        "{id}\nhoming: session default will not be notified: no route leads from it to a sink; run homing wait {id} \
         to get the result\n"
    );
    assert_eq!((status, text), (Some(0), expected));
    setup.wait_for_end(&id);
}

#[test]
fn standard_input_is_passed_if_it_is_a_file_or_a_pipe() {
    let setup = Setup::new();
    let input = setup.file("input", "one\ntwo\n");
    let mut from_file = setup.command(&["run", "--wait", "cat; cat"]);
    from_file.stdin(File::open(&input).unwrap());
    assert_eq!(answer(from_file).stdout, "one\ntwo\n");
    // The document of a job does not change that.
    let mut with_json = setup.command(&["run", "--wait", "--json", "wc -c"]);
    with_json.stdin(File::open(&input).unwrap());
    let id = answer(with_json).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(setup.run(&["output", &id]).stdout.trim(), "8");

    let mut from_pipe = setup.command(&["run", "--wait", "sort"]);
    let mut child = from_pipe.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"b\na\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"a\nb\n".to_vec()));

    let (path, content) = archive(&setup, LARGE);
    let mut whole = setup.command(&["run", "--wait", "cat"]);
    let output = whole.stdin(File::open(path).unwrap()).output().unwrap();
    assert!(output.stdout == content, "{} bytes", output.stdout.len());
}

#[test]
fn a_writer_notices_that_the_job_has_closed_its_input() {
    let setup = Setup::new();
    let script = "read line; exec <&-; echo $line; until [ -e noticed ]; do sleep 0.01; done";
    let mut command = setup.command(&["run", "--wait", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Neither the launcher nor the supervisor keeps the pipe open.
    while input.write_all(b"y\n").is_ok() {}
    setup.file("noticed", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"y\n".to_vec()));
}

#[test]
fn standard_input_needs_a_request_without_wait_and_in_a_harness() {
    let setup = Setup::new();
    let input = setup.file("input", "one\n");
    let from_file = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = setup.command(arguments);
        command.stdin(File::open(&input).unwrap()).envs(variables.iter().copied());
        answer(command)
    };
    for variable in [("CLAUDECODE", "1"), ("CODEX_THREAD_ID", "t-1"), ("HOMING_HARNESS", "goose")] {
        assert_eq!(from_file(&["run", "--wait", "cat"], &[variable]).stdout, "", "{variable:?}");
        assert_eq!(from_file(&["run", "--wait", "--stdin", "cat"], &[variable]).stdout, "one\n");
    }
    for (options, expected) in [(&["run", "cat"][..], ""), (&["run", "--stdin", "cat"], "one\n")] {
        let id = from_file(options, &[]).stdout.trim_end().to_owned();
        setup.wait_for_end(&id);
        assert_eq!(setup.run(&["output", &id]).stdout, expected, "{options:?}");
    }
}

#[test]
fn a_job_reads_on_after_its_launcher_has_ended() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "--stdin", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let id = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim_end().to_owned();
    input.write_all(b"late\n").unwrap();
    wait_until("the job has read it", || setup.run(&["output", &id]).stdout == "late\n");
    drop(input);
    setup.wait_for_end(&id);
}

#[test]
fn a_terminal_is_never_the_standard_input_of_a_job() {
    let setup = Setup::new();
    let (program, _terminal) = terminal();
    let on_terminal = |arguments: &[&str]| {
        let mut command = setup.command(arguments);
        command.stdin(program.try_clone().unwrap());
        answer(command)
    };
    let read = on_terminal(&["run", "--wait", "cat; readlink /proc/self/fd/0"]);
    assert_eq!((read.status, read.stdout.as_str()), (Some(0), "/dev/null\n"), "{read:?}");
    let refused = on_terminal(&["run", "--stdin", "cat"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
    assert!(refused.stderr.contains("standard input is a terminal"), "{refused:?}");
}
