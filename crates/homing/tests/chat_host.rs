//! Tests the example `chat_host`: killed at any time and restarted, it delivers the result of each job to its session
//! exactly once.

#![allow(clippy::print_stderr, reason = "a test that fails says what it saw")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use homing::{Config, FollowUpState, Homing, Job, ListOptions, OpenOptions};
use serde_json::Value;
use testkit::{TempHome, wait_until};

/// Busy sessions are retried only when the host reports that they are free.
const SETTINGS: &str = "[monitor]\nbatch_window = \"0s\"\nbusy_retry = \"1h\"\nwakes_per_hour = 10000\n";

/// A directory of chats.
struct Chats {
    // Before the home: a running host is ended first.
    host: Option<Host>,
    home: TempHome,
}

/// The running example.
struct Host {
    process: Child,
    typed: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the host has shown:\n{}", self.shown.lock().expect("no panic").join("\n"));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Chats {
    fn new() -> Chats {
        let home = TempHome::new();
        std::fs::write(home.scratch().join("config.toml"), SETTINGS).expect("the settings are written");
        let mut chats = Chats { host: None, home };
        chats.start();
        chats
    }

    /// Starts the host. Kills a running host with SIGKILL first.
    fn start(&mut self) {
        self.host = None;
        let mut process = Command::new(example())
            .arg(self.home.path())
            .env("HOMING_CONFIG", self.home.scratch().join("config.toml"))
            .env_remove("HOMING_SUPERVISOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example runs");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (stdout, keep) = (process.stdout.take().expect("it is open"), Arc::clone(&shown));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                keep.lock().expect("no panic").push(line);
            }
        });
        let typed = process.stdin.take();
        self.host = Some(Host { process, typed, shown });
    }

    fn host(&mut self) -> &mut Host {
        self.host.as_mut().expect("it runs")
    }

    fn say(&mut self, line: &str) {
        let line = line.replace("MARK", self.home.mark()) + "\n";
        self.host().typed.as_mut().expect("it is open").write_all(line.as_bytes()).expect("it listens");
    }

    /// How often a line with this beginning was shown since the host was started.
    fn count(&mut self, beginning: &str) -> usize {
        let shown = self.host().shown.lock().expect("no panic");
        shown.iter().filter(|line| line.starts_with(beginning)).count()
    }

    #[track_caller]
    fn wait_for(&mut self, beginning: &str, times: usize) {
        wait_until(&format!("{times} × {beginning:?}"), || self.count(beginning) >= times);
    }

    /// Ends the host by the end of its input.
    fn end(&mut self) {
        let mut host = self.host.take().expect("it runs");
        drop(host.typed.take());
        assert!(host.process.wait().expect("it ends").success());
    }

    /// The library on the same home, beside the host.
    fn homing(&self) -> Homing {
        let options = OpenOptions::new().home(self.home.path().join("jobs")).config(Config::default());
        options.open().expect("the home opens")
    }

    fn transcript(&self, session: &str) -> Vec<Value> {
        let path = self.home.path().join(format!("chats/{session}.jsonl"));
        let text = std::fs::read_to_string(path).expect("there is a transcript");
        // The text after the last newline is still being written.
        let whole = text.rfind('\n').map_or(0, |last| last + 1);
        text[..whole].lines().map(|line| serde_json::from_str(line).expect("a message")).collect()
    }
}

/// Cargo builds it for `cargo test`, beside this test. For `cargo test --test chat_host` it does not, and what is there may
/// be old.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let path = test.ancestors().nth(2).expect("target/debug/deps").join("examples/chat_host");
    assert!(path.is_file(), "build it first: cargo build -p homing --examples");
    path
}

fn jobs_of(message: &Value) -> Vec<String> {
    let jobs = message["jobs"].as_array().expect("a list");
    jobs.iter().map(|job| job.as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_wake_waits_for_the_running_turn_and_then_starts_a_turn() {
    let mut chats = Chats::new();
    chats.say("chat-1: hello");
    chats.wait_for("chat-1 agent: you said: hello", 1);
    let go = chats.home.scratch().join("go");
    chats.say(&format!("chat-1: run until test -e {}; do sleep 0.01; done; echo built", go.display()));
    chats.wait_for("chat-1 agent: started", 1);
    chats.say("chat-1: think 3600");
    chats.wait_for("chat-1 person: think", 1);
    std::fs::write(&go, "").expect("a file");
    chats.wait_for("monitor: chat-1 is busy: a turn is running", 1);
    assert_eq!(chats.count("chat-1 wake: "), 0);
    chats.say("chat-1: enough");
    chats.wait_for("chat-1 agent: I have read about", 1);
    chats.end();

    let transcript = chats.transcript("chat-1");
    let from: Vec<_> = transcript.iter().map(|message| message["from"].as_str().expect("a name")).collect();
    // "enough" is answered before the wake or after it.
    assert_eq!(from[..6], ["person", "agent", "person", "agent", "person", "agent"]);
    let wakes: Vec<&Value> = transcript.iter().filter(|message| message["from"] == "wake").collect();
    assert_eq!(wakes.len(), 1);
    assert!(wakes[0]["text"].as_str().expect("text").contains("built"), "{}", wakes[0]);
    assert_eq!(jobs_of(wakes[0]), jobs_of(&transcript[3]));
}

#[test]
fn results_of_a_removed_chat_go_to_no_other_chat() {
    let mut chats = Chats::new();
    chats.say("chat-1: hello");
    chats.say("chat-2: run sleep MARK");
    chats.wait_for("chat-2 agent: started", 1);
    chats.end();
    std::fs::remove_file(chats.home.path().join("chats/chat-2.jsonl")).expect("it was there");
    chats.start();
    let homing = chats.homing();
    let job = homing.list(&ListOptions::default()).expect("a list").remove(0);
    for process in chats.home.marked().iter().filter(|process| process.command_line.starts_with("sleep")) {
        let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw).expect("an id");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    }
    chats.wait_for("monitor: chat-2 is gone: this chat does not exist", 1);
    wait_until("it is dead", || {
        homing.get(job.id).expect("it is known").follow_up.state == FollowUpState::Dead
    });
    assert_eq!(chats.count("chat-1 wake: "), 0);
    chats.end();
}

#[test]
fn a_host_that_is_killed_repeatedly_delivers_each_result_exactly_once() {
    const SESSIONS: [&str; 3] = ["chat-1", "chat-2", "chat-3"];
    let mut chats = Chats::new();
    for (round, (moment, times)) in [
        ("chat-1 agent: started", 1),
        ("chat-2 wake: ", 1),
        ("chat-3 agent: I have read about", 1),
        ("chat-1 wake: ", 1),
        ("chat-2 person: ", 2),
        ("chat-3 wake: ", 1),
    ]
    .into_iter()
    .enumerate()
    {
        for number in 0..3 {
            for session in SESSIONS {
                chats.say(&format!("{session}: run sleep 0.0{number}; echo {session} in round {round}"));
            }
        }
        chats.wait_for(moment, times);
        // Kill it at any moment.
        chats.start();
    }
    let homing = chats.homing();
    let all_delivered =
        |jobs: &[Job]| jobs.iter().all(|job| job.follow_up.state == FollowUpState::Acknowledged);
    wait_until("all results are delivered", || {
        let turns_have_ended = SESSIONS.iter().all(|session| {
            chats.transcript(session).last().is_some_and(|message| message["from"] == "agent")
        });
        turns_have_ended && all_delivered(&homing.list(&ListOptions::default()).expect("a list"))
    });
    chats.end();

    let jobs = homing.list(&ListOptions::default()).expect("a list");
    assert!(jobs.len() >= 6 && all_delivered(&jobs), "{jobs:?}");
    let expected = |session: &str| -> BTreeMap<String, usize> {
        jobs.iter().filter(|job| job.session.as_str() == session).map(|job| (job.id.to_string(), 1)).collect()
    };
    for session in SESSIONS {
        let transcript = chats.transcript(session);
        let counts = |from: &str| {
            let mut counts = BTreeMap::new();
            for message in transcript.iter().filter(|message| message["from"] == from) {
                let jobs = jobs_of(message).into_iter().filter(|_| {
                    message["text"]
                        .as_str()
                        .is_some_and(|text| from != "agent" || text.starts_with("started"))
                });
                jobs.for_each(|job| *counts.entry(job).or_default() += 1);
            }
            counts
        };
        assert_eq!(counts("wake"), expected(session), "{session}: each job is delivered exactly once");
        assert_eq!(counts("agent"), expected(session), "{session}: each job was launched by one turn");
        let asked = transcript.iter().filter(|message| message["from"] == "person").count();
        let jobs = expected(session).len();
        assert_eq!(asked, jobs, "{session}: one job for each time it was asked for: {transcript:#?}");
    }
}
