//! `homing listen`, as an agent starts it: it prints each result once, acknowledges nothing, and ends when it has no
//! purpose any more.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use homing::{FollowUpState, JobId, JobSpec};
use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::monitors::{MonitorProcess, program, write_config};
use crate::recorder::Recorder;
use crate::setup::{Answer, PROGRAM, Setup};

/// No job runs and nothing is undelivered.
const NOTHING_DUE: Option<i32> = Some(66);
const TIMED_OUT: Option<i32> = Some(75);
const CALLER_GONE: Option<i32> = Some(129);

/// A running `homing listen`.
struct Listener {
    child: Child,
    /// Where its standard output goes: a file, as harnesses use it.
    output: std::path::PathBuf,
}

impl Listener {
    fn start(setup: &Setup, arguments: &[&str]) -> Listener {
        Listener::start_with(setup, arguments, "")
    }

    fn start_with(setup: &Setup, arguments: &[&str], failpoints: &str) -> Listener {
        let config = setup.home.scratch().join("config.toml");
        if !config.exists() {
            fs::write(&config, "").expect("a configuration");
        }
        let mut command = program(&setup.home);
        command.args(["listen", "--session", "chat"]).args(arguments).env("FAILPOINTS", failpoints);
        Listener::spawn(setup, command)
    }

    fn spawn(setup: &Setup, mut command: Command) -> Listener {
        let output = tempfile::Builder::new().tempfile_in(setup.home.scratch()).expect("a file");
        let (file, output) = output.keep().expect("it stays");
        let child = command.stdin(Stdio::null()).stdout(file).spawn().expect("it starts");
        Listener { child, output }
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Waits for its end, and returns its status and what it printed.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        wait_until("the listener has ended", || self.has_ended());
        let printed = fs::read_to_string(&self.output).expect("text");
        (self.child.wait().expect("it is our child"), printed)
    }

    /// Waits until it holds back the monitor for this job: the job's spec is locked.
    #[track_caller]
    fn await_waiting(&self, setup: &Setup, job: JobId) {
        let spec = File::open(setup.homing.job_path(job).join("spec.json")).expect("a job");
        wait_until("it waits", || is_locked(&spec));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn is_locked(file: &File) -> bool {
    use rustix::fs::{FlockOperation, flock};
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            flock(file, FlockOperation::Unlock).expect("it was just locked");
            false
        }
        Err(_) => true,
    }
}

/// A job that ends when the returned file exists.
fn gated(setup: &Setup, name: &str) -> (JobId, std::path::PathBuf) {
    let gate = setup.home.scratch().join(name);
    let job = setup
        .launch("chat", &format!("until [ -e {} ]; do sleep 0.01; done; echo {name}-out; :", gate.display()));
    (job, gate)
}

#[test]
fn it_prints_the_result_and_the_commands_that_follow_and_acknowledges_nothing() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "first");
    let mut listener = Listener::start(&setup, &[]);
    listener.await_waiting(&setup, job);
    assert!(!listener.has_ended());
    fs::write(gate, "").expect("the gate opens");
    let (status, printed) = listener.end();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("first-out") && printed.contains(&format!(": homing ack {job}\n")), "{printed}");
    assert!(printed.ends_with("Start `homing listen` again after you launch another job.\n"), "{printed}");
    assert_eq!(setup.state(job), FollowUpState::HandedOff);
    // No hook of the harness confirms it: only the agent does.
    let session = "chat".parse().expect("a session");
    assert_eq!(setup.homing.claimed_wakes(&session).expect("the ledger").len(), 0);
    let wakes = setup.homing.wakes_of(job).expect("the ledger");
    assert_eq!(wakes[0].attempts[0].result.as_deref(), Some("printed"));

    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!(status.code(), NOTHING_DUE, "{printed}");
    assert!(printed.contains(&format!("not acknowledged: {job}. Acknowledge: homing ack ID.")), "{printed}");
    setup.homing.acknowledge(&[job]).expect("it is acknowledged");
    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!((status.code(), printed.contains("homing ack")), (NOTHING_DUE, false), "{printed}");
}

#[test]
fn all_results_that_are_due_are_printed_together_and_running_jobs_are_named() {
    let setup = Setup::new();
    let jobs = ["echo one-1", "echo two-2; exit 3"].map(|script| setup.launch("chat", script));
    setup.wait_for_end(&jobs);
    let (running, gate) = gated(&setup, "later");
    let other = setup.launch("another chat", "true");
    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.contains("one-1") && printed.contains("two-2"), "{printed}");
    assert!(
        printed.contains("1 job is still running in this session. Now start `homing listen` again"),
        "{printed}"
    );
    assert!(!printed.contains(other.as_str()), "{printed}");
    setup.homing.acknowledge(&jobs).expect("the printed ids");
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[running]);
}

#[test]
fn a_session_without_jobs_has_nothing_to_wait_for() {
    let setup = Setup::new();
    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!(status.code(), NOTHING_DUE, "{printed}");
    assert!(printed.contains("no job is running in this session"), "{printed}");
    // A home that does not exist is not created.
    let missing = setup.home.scratch().join("missing");
    let mut command = program(&setup.home);
    command.arg("listen").env("HOMING_HOME", &missing);
    let (status, _) = Listener::spawn(&setup, command).end();
    assert_eq!((status.code(), missing.exists()), (NOTHING_DUE, false));
}

#[test]
fn it_ends_after_its_timeout_and_the_result_stays_due() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "slow");
    let (status, printed) = Listener::start(&setup, &["--timeout", "20ms"]).end();
    assert_eq!(status.code(), TIMED_OUT, "{printed}");
    assert_eq!(printed, "homing: no result within 20ms; 1 job is still running in this session.\n");
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[job]);
    setup.deliver_once();
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn the_monitor_leaves_results_to_a_listener_and_delivers_them_if_nobody_acknowledges() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    let (job, gate) = gated(&setup, "first");
    let listener = Listener::start(&setup, &[]);
    listener.await_waiting(&setup, job);
    fs::write(gate, "").expect("the gate opens");
    let (status, printed) = listener.end();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(setup.sink.received().is_empty(), "{:?}", setup.sink.received());
    monitor.stop();
    // Simulates that 15 minutes have passed.
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    ledger.execute("UPDATE wakes SET next_at = 0", []).expect("a wake");
    setup.deliver_once();
    let [received] = setup.sink.received().try_into().expect("once");
    assert_eq!(received.jobs, [job]);
    assert_eq!(setup.state(job), FollowUpState::Acknowledged);
}

#[test]
fn an_unacknowledged_result_is_printed_again_without_a_monitor() {
    let setup = Setup::new();
    let job = setup.launch("chat", "echo again-1");
    setup.wait_for_end(&[job]);
    let (_, first) = Listener::start(&setup, &[]).end();
    let (running, gate) = gated(&setup, "running");
    let mut listener = Listener::start(&setup, &[]);
    listener.await_waiting(&setup, running);
    assert!(!listener.has_ended(), "the first result is not due yet");
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    ledger.execute("UPDATE wakes SET next_at = 0", []).expect("a wake");
    drop(ledger);
    // Another change makes it look at the ledger. Otherwise it would look after 15 minutes.
    let third = setup.launch("chat", "echo third-3");
    let (status, printed) = listener.end();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(first.contains("again-1") && printed.contains("again-1"), "{printed}");
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[running, third]);
}

#[test]
fn two_listeners_of_one_session_print_each_result_once() {
    let setup = Setup::new();
    for round in 0..12 {
        let (job, gate) = gated(&setup, &format!("round-{round}"));
        let listeners = [Listener::start(&setup, &[]), Listener::start(&setup, &[])];
        listeners.iter().for_each(|listener| listener.await_waiting(&setup, job));
        fs::write(gate, "").expect("the gate opens");
        let ends = listeners.map(Listener::end);
        let mut statuses = ends.each_ref().map(|(status, _)| status.code());
        statuses.sort_unstable();
        assert_eq!(statuses, [Some(0), NOTHING_DUE], "{ends:?}");
        let times: usize =
            ends.iter().map(|(_, printed)| printed.matches(&format!("round-{round}-out\n")).count()).sum();
        assert_eq!(times, 1, "{ends:?}");
        setup.homing.acknowledge(&[job]).expect("it is acknowledged");
    }
}

#[test]
fn a_killed_listener_leaves_the_result_due() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "killed");
    let mut listener = Listener::start(&setup, &[]);
    listener.await_waiting(&setup, job);
    listener.child.kill().expect("it runs");
    let (status, printed) = listener.end();
    assert_eq!((status.signal(), printed.as_str()), (Some(9), ""));
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[job]);
    assert_eq!(setup.state(job), FollowUpState::Pending);
    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!((status.code(), printed.contains("killed-out")), (Some(0), true), "{printed}");
}

#[test]
fn a_listener_that_dies_before_it_prints_has_acknowledged_nothing() {
    let setup = Setup::new();
    let job = setup.launch("chat", "echo lost-1");
    setup.wait_for_end(&[job]);
    let (status, printed) = Listener::start_with(&setup, &[], "listen/claimed=return").end();
    assert_eq!((status.signal(), printed.as_str()), (Some(9), ""));
    assert_eq!(setup.state(job), FollowUpState::HandedOff);
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("a ledger");
    ledger.execute("UPDATE wakes SET next_at = 0", []).expect("a wake");
    let (status, printed) = Listener::start(&setup, &[]).end();
    assert_eq!((status.code(), printed.contains("lost-1")), (Some(0), true), "{printed}");
}

#[test]
fn a_result_that_cannot_be_written_is_due_at_once() {
    let setup = Setup::new();
    let job = setup.launch("chat", "echo full-1");
    setup.wait_for_end(&[job]);
    fs::write(setup.home.scratch().join("config.toml"), "").expect("a configuration");
    let full = File::options().write(true).open("/dev/full").expect("every Linux has it");
    let mut command = program(&setup.home);
    command.args(["listen", "--session", "chat"]).stdout(full).stderr(Stdio::null());
    assert_eq!(command.status().expect("it runs").code(), Some(1));
    assert_eq!(setup.state(job), FollowUpState::Pending);
}

#[test]
fn it_ends_with_the_program_behind_the_shell_that_started_it() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "orphan");
    fs::write(setup.home.scratch().join("config.toml"), "").expect("a configuration");
    // `perl` stands for the harness, which runs the shell.
    let pids = setup.home.scratch().join("pids");
    let shell = format!("{PROGRAM} listen --session chat; echo status $?; :");
    let script = format!(
        "my $pid = fork(); if (!$pid) {{ exec '/bin/sh', '-c', $ARGV[0] }} open(F, '>', '{}'); print F $$; close F; sleep 86400",
        pids.display()
    );
    let mut command = Command::new("perl");
    let environment = program(&setup.home);
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["-e", &script, &shell]);
    let mut harness = Listener::spawn(&setup, command);
    harness.await_waiting(&setup, job);
    harness.child.kill().expect("it runs");
    harness.child.wait().expect("it is our child");
    wait_until("the listener ends", || {
        fs::read_to_string(&harness.output).expect("text").ends_with("status 129\n")
    });
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[job]);
    assert_eq!(setup.state(job), FollowUpState::Pending);
}

#[test]
fn it_ends_when_nobody_reads_its_output() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "unread");
    fs::write(setup.home.scratch().join("config.toml"), "").expect("a configuration");
    let mut command = program(&setup.home);
    let child =
        command.args(["listen", "--session", "chat"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut listener = Listener { child, output: setup.home.scratch().join("config.toml") };
    listener.await_waiting(&setup, job);
    drop(listener.child.stdout.take());
    let (status, _) = listener.end();
    assert_eq!(status.code(), CALLER_GONE);
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[job]);
    assert_eq!(setup.state(job), FollowUpState::Pending);
}

#[test]
fn it_waits_for_the_answer_of_a_sink_without_polling() {
    let setup = Setup::new();
    let monitor = setup.monitor();
    setup.sink.answers("chat", [Answer::AtTheGate]);
    let job = setup.launch("chat", "echo in-flight");
    setup.sink.wait_for(1);
    let mut listener = Listener::start(&setup, &[]);
    let pid = listener.child.id();
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("a number")
    };
    let sleeps = || fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default().contains("poll");
    let mut before = (0, std::time::Instant::now());
    wait_until("it sleeps", || {
        let now = switches();
        if now != before.0 || !sleeps() {
            before = (now, std::time::Instant::now());
        }
        before.1.elapsed() > std::time::Duration::from_secs(2)
    });
    assert!(!listener.has_ended());
    setup.sink.open_the_gate();
    let (status, printed) = listener.end();
    assert_eq!(status.code(), NOTHING_DUE, "{printed}");
    setup.wait_for_state(job, FollowUpState::Acknowledged);
    monitor.stop();
}

#[test]
fn a_listener_and_a_real_monitor_deliver_every_job_once() {
    let setup = Setup::new();
    let recorder = Recorder::new(&setup.home);
    write_config(&setup.home, &recorder, "60s");
    let monitor = MonitorProcess::start(&setup.home, "");
    let mut printed_by_listeners = 0;
    for round in 0..20 {
        let job = setup.launch("chat", &format!("sleep 0.0{}", round % 10));
        let (_, printed) = Listener::start(&setup, &[]).end();
        let by_listener = printed.contains(&format!("homing ack {job}"));
        if by_listener {
            setup.homing.acknowledge(&[job]).expect("it is acknowledged");
            printed_by_listeners += 1;
        }
        setup.wait_for_state(job, FollowUpState::Acknowledged);
        let by_sink = recorder.recorded().iter().filter(|recorded| recorded.jobs.contains(&job)).count();
        assert_eq!(usize::from(by_listener) + by_sink, 1, "round {round}: {printed}");
    }
    eprintln!("{printed_by_listeners} of 20 results were printed");
    monitor.terminate();
    assert!(monitor.end().success());
}

#[test]
fn a_stopped_listener_says_nothing_and_its_signal_ends_it() {
    let setup = Setup::new();
    let (job, gate) = gated(&setup, "signal");
    let listener = Listener::start(&setup, &[]);
    listener.await_waiting(&setup, job);
    kill_process(Pid::from_child(&listener.child), Signal::TERM).expect("it runs");
    let (status, printed) = listener.end();
    assert_eq!((status.signal(), printed.as_str()), (Some(15), ""));
    fs::write(gate, "").expect("the gate opens");
    setup.wait_for_end(&[job]);
}

#[test]
fn json_is_one_document_for_each_wake() {
    let setup = Setup::new();
    let job = setup.launch("chat", "echo json-1");
    setup.wait_for_end(&[job]);
    let (status, printed) = Listener::start(&setup, &["--json"]).end();
    assert_eq!(status.code(), Some(0));
    let document: serde_json::Value = serde_json::from_str(printed.trim_end()).expect("one document");
    assert_eq!(
        (&document["schema"], &document["jobs"][0]["id"]),
        (&"homing.wake/1".into(), &job.as_str().into())
    );
    let mut all = String::new();
    File::open(setup.homing.job_path(job).join("output.log"))
        .expect("output")
        .read_to_string(&mut all)
        .expect("text");
    assert_eq!(all, "json-1\n");
}

#[test]
fn it_refuses_to_be_a_job_of_its_own_session() {
    let setup = Setup::new();
    let config = setup.home.scratch().join("config.toml");
    fs::write(&config, "").expect("a configuration");
    let launch = |session: &str| {
        let script = format!("{PROGRAM} listen --session chat 2>&1; echo status $?");
        let spec = JobSpec::script(script).expect("a script").session(session.parse().expect("a session"));
        let spec = spec.env("HOMING_HOME", setup.home.path().to_string_lossy());
        let spec = spec.env("HOMING_CONFIG", config.to_string_lossy());
        let job = setup.homing.launch(spec).expect("it is launched").id;
        setup.wait_for_end(&[job]);
        setup.homing.result_text(job).expect("a result")
    };
    let text = launch("chat");
    assert!(text.contains("without homing run") && text.contains("status 2"), "{text}");
    // A job of another session may listen.
    let text = launch("another");
    assert!(text.contains("status 0") && text.contains("without homing run"), "{text}");
}
