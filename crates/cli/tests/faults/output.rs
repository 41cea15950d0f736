//! Very large output, binary output, output just before the end, and a thousand jobs at once.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use homing::core::{LostReason, OutputSize};
use homing::{
    FollowUpOptions, FollowUpState, Followed, JobId, JobSpec, KilledBy, ListOptions, Outcome, OutputFollower,
    StateName,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit};
use testkit::{WAIT_TIMEOUT, skip, wait_until};

use crate::evidence::{after, assert_no_half_job, assert_output, disk_usage, list, noise, whole_machine};
use crate::setup::{Setup, kill_9, outcome, stdout};

const MIB: u64 = 1 << 20;
/// The kept part of an output: the first mebibyte and the last four.
const KEPT: u64 = 5 * MIB;
/// The same with the header of the ring and all other files of a job directory.
const MOST_DISK: u64 = 6 * MIB;
/// Much more than a supervisor needs in a debug build, much less than the output.
const MOST_MEMORY_KB: u64 = 16 << 10;

/// Runs a job that writes `bytes` bytes and then waits. Checks disk and memory during and after that, and ends the job.
fn flood(flood: &str, total_bytes: u64) -> (Setup, homing::Job) {
    let setup = Setup::new();
    let go = setup.scratch("go");
    let script = format!("{flood}; until [ -e {} ]; do sleep 0.01; done; exit 9", go.display());
    let id = setup.launch(&script).id;
    let directory = setup.homing.job_path(id);
    let supervisor = setup.supervisor(id).pid;
    let mut most_disk = 0;
    let give_up_at = std::time::Instant::now() + 5 * WAIT_TIMEOUT;
    while setup.homing.output_end(id).expect("output") < total_bytes {
        most_disk = most_disk.max(disk_usage(&directory));
        assert!(std::time::Instant::now() < give_up_at, "the flood is stuck");
        std::thread::sleep(Duration::from_millis(5));
    }
    most_disk = most_disk.max(disk_usage(&directory));
    let status = fs::read_to_string(format!("/proc/{supervisor}/status")).expect("it runs");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse::<u64>().ok());
    assert!(peak.is_some_and(|peak| peak < MOST_MEMORY_KB), "{peak:?} kB of memory");
    assert!(most_disk < MOST_DISK, "{most_disk} bytes of disk");
    fs::write(go, "").expect("a file");
    let job = setup.end_of(id);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 9 });
    assert_eq!(job.output, OutputSize { total_bytes, omitted_bytes: total_bytes - KEPT, dropped_bytes: 0 });
    assert!(disk_usage(&directory) < MOST_DISK);
    (setup, job)
}

/// Asserts that the text for the agent is bounded and readable.
fn assert_readable(setup: &Setup, id: JobId) -> String {
    let text = setup.homing.result_text(id).expect("a text");
    assert!(text.chars().count() <= 16_000, "{} characters", text.chars().count());
    let odd: Vec<char> = text.chars().filter(|c| c.is_control() && !"\n\t".contains(*c)).collect();
    assert_eq!(odd, [char::MIN; 0]);
    text
}

#[test]
fn ten_gigabytes_of_output_take_bounded_disk_and_memory() {
    let _alone = whole_machine();
    let (setup, job) = flood("head -c 10G /dev/zero", 10 << 30);
    let tail = setup.homing.output(job.id, MIB, usize::MAX >> 1).expect("output");
    assert_eq!((tail.offset, tail.bytes), ((10 << 30) - 4 * MIB, vec![0; 4 << 20]));
    assert_readable(&setup, job.id);
}

#[test]
fn one_line_of_a_gigabyte_takes_bounded_disk_and_memory() {
    let _alone = whole_machine();
    let (setup, job) = flood("head -c 1G /dev/zero | tr '\\0' x", 1 << 30);
    let text = assert_readable(&setup, job.id);
    assert!(text.contains("xxxxx") && text.contains("omitted"), "{text}");
    let shown = setup.program().args(["output", job.id.as_str()]).output().expect("the program runs");
    assert!(stdout(&shown).len() as u64 <= KEPT + 1000);
}

#[test]
fn binary_output_is_stored_exactly_and_shown_as_readable_text() {
    let texts: [&[u8]; 5] = [
        b"\0\0\0",
        b"\xff\xfe invalid \xc3\x28 utf-8 \xed\xa0\x80 \xf8\x88\x80\x80\x80\n",
        b"\x1b[2J\x1b]0;title\x07\x1b[31mred\x1b[0m \x08\x7f \x9b31m \xc2\x9b31m\n",
        b"progress 1%\rprogress 50%\rprogress 100%\r\n",
        &noise(3 << 20),
    ];
    for bytes in texts.into_iter().map(<[u8]>::to_vec).chain([texts.concat()]) {
        let setup = Setup::new();
        let file = setup.scratch("bytes");
        fs::write(&file, &bytes).expect("a file");
        let job = setup.run(&format!("cat {}", file.display()));
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
        let pieces = assert_output(&setup, &job, &bytes);
        assert_eq!((pieces.len(), &pieces[0]), (1, &(0..bytes.len())), "all of it is there");
        assert_readable(&setup, job.id);
        let raw =
            setup.program().args(["output", "--raw", job.id.as_str()]).output().expect("the program runs");
        assert!(raw.status.success() && raw.stdout == bytes, "--raw prints exactly what was written");
        let clean =
            stdout(&setup.program().args(["output", job.id.as_str()]).output().expect("the program runs"));
        assert!(
            !clean.contains(|c: char| c.is_control() && !"\n\t".contains(c)),
            "without --raw it can be read"
        );
    }
}

#[test]
fn the_head_and_the_tail_of_an_output_that_does_not_fit_are_exact() {
    // Odd, so that no piece ends at a boundary.
    let bytes = noise(23_456_789);
    let setup = Setup::new();
    let (file, copy) = (setup.scratch("bytes"), setup.scratch("copy"));
    fs::write(&file, &bytes).expect("a file");
    let script = format!("dd if={} bs=777777 status=none | tee {}", file.display(), copy.display());
    let job = setup.run(&script);
    assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
    assert!(fs::read(copy).expect("the copy") == bytes, "the job wrote all of it");
    let (head, tail) = (1 << 20, bytes.len() - (4 << 20));
    assert_eq!(assert_output(&setup, &job, &bytes), [0..head, tail..bytes.len()]);
    assert_readable(&setup, job.id);
}

#[test]
fn output_in_the_last_instant_is_never_lost() {
    let _alone = whole_machine();
    let setup = Setup::new();
    let bytes = noise(64 << 10);
    let file = setup.scratch("bytes");
    fs::write(&file, &bytes).expect("a file");
    let file = file.to_str().expect("text");
    // As much as a pipe holds, so that the job ends before it is read: in one write, and in pieces that keep the
    // supervisor reading until the end.
    let at_once = ["head", "-c", "65536", file].map(str::to_owned);
    let in_pieces = ["dd", &format!("if={file}"), "bs=128", "status=none"].map(str::to_owned);
    let launch = |[program, arguments @ ..]: [String; 4]| {
        setup.launch_spec(JobSpec::program(program).args(arguments)).id
    };
    let launch_250 = || (0..125).flat_map(|_| [launch(at_once.clone()), launch(in_pieces.clone())]).collect();
    let ids: Vec<JobId> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(launch_250)).collect();
        threads.into_iter().flat_map(|thread| -> Vec<JobId> { thread.join().expect("it launches") }).collect()
    });
    wait_until("all have finished", || setup.home.processes().is_empty());
    let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
    assert_eq!((jobs.len(), ids.len()), (1000, 1000));
    for job in jobs {
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
        assert_eq!(job.output, OutputSize { total_bytes: 65_536, omitted_bytes: 0, dropped_bytes: 0 });
        let kept = setup.homing.output(job.id, 0, 100_000).expect("output");
        assert!(kept.bytes == bytes, "job {} has other bytes", job.id);
    }
}

#[test]
fn a_thousand_jobs_that_end_at_once_have_a_thousand_outcomes() {
    let _alone = whole_machine();
    if getrlimit(Resource::Nproc).current.is_some_and(|limit| limit < 4096) {
        return skip("this user may not have 2,000 processes");
    }
    let setup = Setup::new();
    let barrier = setup.scratch("barrier");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &barrier, kind, Mode::RWXU, 0).expect("a fifo");
    let open =
        || rustix::fs::open(&barrier, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).expect("the barrier");
    let held = open();
    let script = "read -r line < \"$0\"; exit \"$1\"";
    let codes: HashMap<JobId, i32> = (0..1000)
        .map(|number| {
            let code = number % 256;
            let arguments = ["-c", script, barrier.to_str().expect("text"), &code.to_string()];
            (setup.launch_spec(JobSpec::program("sh").args(arguments)).id, code)
        })
        .collect();
    let running = ListOptions { state: Some(StateName::Running), ..ListOptions::default() };
    assert_eq!(setup.homing.list(&running).expect("a list").len(), 1000);

    drop(held);
    wait_until("all have finished", || {
        // Lets jobs pass that had not reached the barrier yet.
        drop(open());
        setup.home.processes().is_empty()
    });
    let jobs = setup.homing.list(&ListOptions::default()).expect("a list");
    assert_eq!(jobs.len(), 1000);
    for job in &jobs {
        let exit_code = codes[&job.id];
        assert_eq!(outcome(job), &Outcome::Exited { exit_code: exit_code.into() });
        assert_eq!(job.follow_up.state, FollowUpState::Pending);
    }
    assert_eq!(setup.homing.follow_ups(&FollowUpOptions::default()).expect("follow-ups"), jobs);
}

#[test]
fn a_follower_gets_every_byte_in_order_and_then_the_end() {
    let setup = Setup::new();
    let [first, second] = ["first", "second"].map(|name| setup.scratch(name));
    let wait = |path: &std::path::Path| format!("until [ -e {} ]; do sleep 0.01; done", path.display());
    let script = format!("seq 1 100; {}; seq 101 200000; {}; seq 200001 400000", wait(&first), wait(&second));
    let id = setup.launch(&script).id;
    let written: String = (1..=400_000).map(|number| format!("{number}\n")).collect();

    let mut follower = setup.homing.follow(id, 0).expect("it can be followed");
    let mut seen = Vec::new();
    loop {
        match follower.next_within(Some(WAIT_TIMEOUT)).expect("it can be read") {
            Followed::Output(chunk) => {
                assert_eq!(chunk.offset, seen.len() as u64, "nothing is missing in between");
                seen.extend_from_slice(&chunk.bytes);
            }
            Followed::NothingYet => panic!("waited {WAIT_TIMEOUT:?} in vain after {} bytes", seen.len()),
            Followed::Finished => break,
        }
        // The job writes more only after its earlier output has arrived.
        for (last, go) in [("\n100\n", &first), ("\n200000\n", &second)] {
            if seen.ends_with(last.as_bytes()) {
                fs::write(go, "").expect("a file");
            }
        }
    }
    assert!(seen == written.as_bytes(), "{} bytes instead of {}", seen.len(), written.len());
    assert_eq!(follower.next_within(Some(Duration::ZERO)).expect("it stays finished"), Followed::Finished);
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 0 });
}

#[test]
fn a_follower_of_a_silent_job_does_not_wake_up() {
    let setup = Setup::new();
    let id = setup.launch("echo hello; exec sleep MARK").id;
    setup.wait_for_marked(1);
    let mut follower = setup.homing.follow(id, 0).expect("it can be followed");
    let is_readable = |follower: &OutputFollower| {
        let inotify = follower.readable().expect("the kernel has a watch");
        poll(&mut [PollFd::new(&inotify, PollFlags::IN)], Some(&Timespec::default())).expect("it is asked")
            == 1
    };
    let mut seen = Vec::new();
    // Reading must not cause an event, or the loop would never end.
    wait_until("nothing more happens", || {
        match follower.next_within(Some(Duration::ZERO)).expect("it can be read") {
            Followed::Output(chunk) => seen.extend_from_slice(&chunk.bytes),
            Followed::NothingYet => return !is_readable(&follower),
            Followed::Finished => panic!("it sleeps"),
        }
        false
    });
    assert_eq!(seen, b"hello\n");
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert!(is_readable(&follower));
    assert_eq!(follower.next_within(Some(WAIT_TIMEOUT)).expect("it can be read"), Followed::Finished);
}

#[test]
fn a_follower_of_a_lost_job_gets_the_end() {
    let setup = Setup::new();
    let id = setup.launch("echo hello; exec sleep MARK").id;
    setup.wait_for_marked(1);
    let mut follower = setup.homing.follow(id, 0).expect("it can be followed");
    match follower.next_within(Some(WAIT_TIMEOUT)).expect("it can be read") {
        Followed::Output(chunk) => assert_eq!(chunk.bytes, b"hello\n"),
        other => panic!("{other:?}"),
    }
    assert_eq!(follower.next_within(Some(Duration::ZERO)).expect("it can be read"), Followed::NothingYet);
    kill_9(setup.supervisor(id).pid);
    assert_eq!(follower.next_within(Some(WAIT_TIMEOUT)).expect("it can be read"), Followed::Finished);
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Lost { reason: LostReason::SupervisorDied });
}

#[test]
fn a_slow_follower_learns_how_many_bytes_it_missed() {
    let setup = Setup::new();
    let bytes = noise(20 << 20);
    let (file, done) = (setup.scratch("bytes"), setup.scratch("done"));
    fs::write(&file, &bytes).expect("a file");
    let id = setup.launch(&format!("cat {}; : > {}; exec sleep MARK", file.display(), done.display())).id;
    let mut follower = setup.homing.follow(id, 0).expect("it can be followed");
    wait_until("everything is written and read", || {
        done.exists() && setup.homing.output_end(id).expect("output") == bytes.len() as u64
    });
    let mut seen: Vec<std::ops::Range<usize>> = Vec::new();
    while let Followed::Output(chunk) = follower.next_within(Some(Duration::ZERO)).expect("it can be read") {
        let start = usize::try_from(chunk.offset).expect("an offset");
        let end = start + chunk.bytes.len();
        assert!(chunk.bytes == bytes[start..end], "the bytes in {start}..{end} are wrong");
        match seen.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => seen.push(start..end),
        }
    }
    let [head, tail] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!((head, tail.end), (&(0..1 << 20), bytes.len()));
    // While the job runs, a small part of the ring is reserved for the next piece.
    assert!(tail.len() > 3 << 20 && tail.len() <= 4 << 20, "{tail:?}");
    setup.homing.kill(id, KilledBy::Operator).expect("it ends");
}

#[test]
fn a_limit_on_the_size_of_files_loses_output_and_nothing_else() {
    // In kibibytes. A record has four.
    let mut launched_under = Vec::new();
    for limit in [0, 1, 3, 4, 8, 64] {
        let setup = Setup::new();
        let ran = setup.scratch("ran");
        let mut run = setup.program();
        run.args(["run", &format!("head -c 1000000 /dev/zero; echo ran > {}", ran.display())]);
        // No core dumps.
        let launched = after("ulimit -c 0; ulimit -f $0 || exit 99", &limit.to_string(), &run).output();
        let launched = launched.expect("the shell runs");
        if launched.status.code().is_none() {
            // At the limit, the kernel sends SIGXFSZ to the launcher.
            assert_eq!(limit, 0, "{launched:?}");
            assert_eq!(list(setup.program()), [""; 0]);
            continue;
        }
        assert_no_half_job(&launched, || list(setup.program()), &ran);
        if !launched.status.success() {
            continue;
        }
        launched_under.push(limit);
        let job = setup.end_of(stdout(&launched).parse().expect("an id"));
        assert_eq!(outcome(&job), &Outcome::Exited { exit_code: 0 });
        let kept = limit * 1024;
        let size = OutputSize { total_bytes: 1_000_000, omitted_bytes: 0, dropped_bytes: 1_000_000 - kept };
        assert_eq!(job.output, size, "{limit}");
        assert_output(&setup, &job, &[0; 1_000_000]);
    }
    assert_eq!(launched_under, [4, 8, 64]);
}
