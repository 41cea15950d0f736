//! Waits end, whatever happens to the supervisor.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use homing::core::LostReason;
use homing::{Followed, Homing, JobId, KilledBy, Outcome, WaitFor};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use testkit::wait_until;

use crate::setup::{PROGRAM, Setup, kill_9, outcome, stdout};

/// Longer than any of these waits takes on a loaded machine.
const WAIT_LIMIT: Duration = Duration::from_secs(20);

/// A method to wait for the end of a job, at most [`WAIT_LIMIT`]. Returns whether the job has finished.
type WaitMethod = fn(&Homing, JobId) -> bool;

const WAIT_METHODS: [(&str, WaitMethod); 4] =
    [("wait", by_waiting), ("follow", by_following), ("event loop", in_an_event_loop), ("watch", by_a_watch)];

fn by_waiting(homing: &Homing, id: JobId) -> bool {
    homing.wait(&[id], WaitFor::All, Some(WAIT_LIMIT)).expect("it can be waited for").satisfied
}

fn by_following(homing: &Homing, id: JobId) -> bool {
    let mut follower = homing.follow(id, 0).expect("it can be followed");
    follower.next_within(Some(WAIT_LIMIT)).expect("it can be read") == Followed::Finished
}

fn in_an_event_loop(homing: &Homing, id: JobId) -> bool {
    let mut waiting = homing.begin_waiting(&[id], WaitFor::All);
    while !homing.is_satisfied(&mut waiting).expect("it can be waited for") {
        if !becomes_readable(&waiting.readable().expect("the kernel has a watch")) {
            return false;
        }
    }
    true
}

fn by_a_watch(homing: &Homing, id: JobId) -> bool {
    let watch = homing.watch().expect("the kernel has a watch");
    watch.add(id).expect("the kernel has a watch");
    while !homing.is_finished(id).expect("it can be observed") {
        if !becomes_readable(&watch.readable()) {
            return false;
        }
        let _ = watch.changed();
    }
    true
}

fn becomes_readable(descriptor: &impl AsFd) -> bool {
    let limit = WAIT_LIMIT.try_into().expect("a short time");
    poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&limit)).expect("it is asked") == 1
}

/// Kills the supervisor of a job while `method` waits for it, and checks whether the wait ends.
fn kill_while_it_waits(setup: &Setup, name: &str, method: WaitMethod) {
    let id = setup.launch("exec sleep MARK").id;
    let supervisor = setup.supervisor(id).pid;
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| method(&setup.homing, id));
        // The wait may or may not have begun: it must end in both cases.
        kill_9(supervisor);
        assert!(waits.join().expect("no panic"), "{name} would have waited forever");
    });
    let lost = Outcome::Lost { reason: LostReason::SupervisorDied };
    assert_eq!(outcome(&setup.homing.get(id).expect("the job")), &lost, "{name}");
}

#[test]
fn a_wait_ends_when_the_supervisor_is_killed() {
    let setup = Setup::new();
    // The kernel reports that a dying supervisor has closed its record before it releases the lock. Only many deaths
    // show the time in between.
    for _ in 0..25 {
        for (name, method) in WAIT_METHODS {
            kill_while_it_waits(&setup, name, method);
        }
    }
}

#[test]
fn a_wait_ends_when_the_lock_is_released_long_after_the_record() {
    let setup = Setup::new();
    for (name, method) in WAIT_METHODS {
        let id = setup.launch("exec sleep MARK").id;
        let supervisor = setup.supervisor(id).pid;
        let lock = File::open(setup.homing.job_path(id).join("lock")).expect("it is there");
        std::thread::scope(|scope| {
            // Simulates a slow kernel: the lock passes from the supervisor to this thread, which writes
            // nothing and so reports nothing.
            let holds = scope.spawn(|| {
                flock(&lock, FlockOperation::LockExclusive).expect("it can be locked");
                std::thread::sleep(Duration::from_millis(300));
                flock(&lock, FlockOperation::Unlock).expect("it can be unlocked");
            });
            let waits = scope.spawn(|| method(&setup.homing, id));
            std::thread::sleep(Duration::from_millis(100));
            kill_9(supervisor);
            let killed_at = Instant::now();
            assert!(waits.join().expect("no panic"), "{name} would have waited forever");
            println!("{name} ended after {:?}", killed_at.elapsed());
            holds.join().expect("no panic");
        });
    }
}

#[test]
fn a_wait_ends_when_neither_launcher_nor_supervisor_is_left_before_the_start() {
    for method in [&["wait"][..], &["output", "--follow"]] {
        let setup = Setup::new();
        let crash = setup
            .program()
            .args(["run", "true"])
            .env("FAILPOINTS", "launch/inbox_entry_made=return")
            .output();
        assert!(!crash.expect("the program starts").status.success());
        let jobs = std::fs::read_dir(setup.home.path().join("jobs")).expect("it is there");
        let id = jobs.last().expect("a job").expect("a name").file_name().into_string().expect("text");

        // The job does not change any more. Only its start deadline shows that it never started.
        let mut wait = setup.program();
        let wait = wait.args(method).arg(&id).env("FAILPOINTS", "start_grace=return(1000)");
        let mut wait = wait.stdout(Stdio::piped()).spawn().expect("the program starts");
        let give_up_at = Instant::now() + WAIT_LIMIT;
        while wait.try_wait().expect("it is a child of this process").is_none() {
            if Instant::now() > give_up_at {
                wait.kill().expect("it is a child of this process");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let answer = wait.wait_with_output().expect("it ends");
        assert!(answer.status.code().is_some(), "{method:?} would have waited forever");
        let mut show = setup.program();
        let show = show.args(["show", &id, "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
        assert!(stdout(&show.expect("the program runs")).contains(r#""reason":"never_started""#));
    }
}

#[test]
fn a_wait_does_not_wake_up_while_the_job_runs() {
    let setup = Setup::new();
    let id = setup.launch("exec sleep MARK").id;
    for arguments in [&["wait", id.as_str()][..], &["output", "--follow", id.as_str()]] {
        let mut wait = setup.program();
        let mut wait =
            wait.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // It has begun when it has not been scheduled for some time; a wait that polls never is.
        let mut switches = (context_switches(wait.id()), Instant::now());
        wait_until(&format!("{arguments:?} sleeps for two seconds"), || {
            let now = context_switches(wait.id());
            if now != switches.0 {
                switches = (now, Instant::now());
            }
            switches.1.elapsed() > Duration::from_secs(2)
        });
        wait.kill().expect("it is a child of this process");
        wait.wait().expect("it ends");
    }
    setup.homing.kill(id, KilledBy::Operator).expect("it can be ended");
}

/// How often the threads of a process have gone to sleep (proc_pid_status(5)).
fn context_switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let switches = |task: std::path::PathBuf| -> Option<u64> {
        let status = std::fs::read_to_string(task.join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
    };
    tasks.filter_map(|task| switches(task.ok()?.path())).sum()
}

#[test]
fn a_wait_for_more_jobs_than_it_may_open_files_works() {
    let setup = Setup::new();
    let ids: Vec<JobId> = (0..80).map(|_| setup.launch("exec sleep MARK").id).collect();
    let mut wait = setup.home.command("/bin/sh");
    wait.args(["-c", "ulimit -n 64; exec \"$0\" wait --timeout 100ms \"$@\"", PROGRAM]);
    wait.args(ids.iter().map(JobId::as_str)).env("XDG_CONFIG_HOME", setup.home.scratch());
    let answer = wait.output().expect("it runs");
    assert_eq!(answer.status.code(), Some(75), "{answer:?}");
    let all: Vec<(JobId, KilledBy)> = ids.into_iter().map(|id| (id, KilledBy::Operator)).collect();
    setup.homing.kill_all(&all).expect("they can be ended");
}
