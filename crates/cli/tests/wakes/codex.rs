//! Killed monitors and the queue of Codex: a message is queued once. The test plays Codex, with a program in its place
//! that notes each call, and with a process that has the thread open.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use homing::FollowUpState;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use testkit::{TempHome, wait_until};

use crate::monitors::{MonitorProcess, deliver_once, write_sink};
use crate::setup::Setup;

const SESSION: &str = "8ea33794-a111-41a6-9d20-26cb0c63612b";

/// Names the file that [`holds_the_lock_of_a_thread`] locks.
const LOCK: &str = "HOMING_TEST_LOCK";

/// Notes the call, and puts the message where the test reads it.
const PROGRAM: &str = r#"#!/bin/sh
echo "$1" >> "$CODEX_HOME/calls"
case $1 in
queue) printf '%s' "${3#--message=}" > "$CODEX_HOME/new"; mv "$CODEX_HOME/new" "$CODEX_HOME/message"
    until [ -e "$CODEX_HOME/queued" ]; do sleep 0.01; done; echo "Queued message 1 for thread $2.";;
exec) cat > "$CODEX_HOME/resumed"; echo '{"type":"turn.completed"}';;
esac
"#;

/// Codex with one thread, which a process has open.
struct Codex {
    home: PathBuf,
    holder: Child,
}

impl Codex {
    fn new(home: &TempHome) -> Codex {
        let codex = home.scratch().join("codex");
        let sessions = codex.join("sessions/2026/11/30");
        let locks = codex.join("thread-writer-locks");
        for folder in [&sessions, &locks] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let program = codex.join("codex");
        // Written by another process: a child of another test might hold a handle for writing.
        let write = "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let written =
            Command::new("sh").args(["-c", write]).args([program.as_os_str(), PROGRAM.as_ref()]).status();
        assert!(written.expect("a shell").success());
        let holder = hold(&locks.join(format!("{SESSION}.lock")));
        let codex = Codex { home: codex, holder };
        let table = "CREATE TABLE queued_items (thread_id TEXT, payload_json TEXT)";
        codex.database().execute_batch(table).expect("a table");
        codex.append("session_meta", json!({"id": SESSION, "source": "cli"}));
        codex.turn("user", "hello");
        codex.append("event_msg", json!({"type": "task_complete", "turn_id": "t"}));
        codex
    }

    fn database(&self) -> Connection {
        Connection::open(self.home.join("queue_1.sqlite")).expect("a database")
    }

    fn append(&self, kind: &str, payload: Value) {
        let path = self.home.join(format!("sessions/2026/11/30/rollout-2026-11-30T01-38-11-{SESSION}.jsonl"));
        let mut file = File::options().append(true).create(true).open(path).expect("a rollout");
        writeln!(file, "{}", json!({"timestamp": "t", "type": kind, "payload": payload}))
            .expect("it is written");
    }

    fn turn(&self, trigger: &str, text: &str) {
        let attribution = json!({"turn_trigger": trigger});
        self.append(
            "event_msg",
            json!({"type": "task_started", "turn_id": "t", "turn_attribution": attribution}),
        );
        let content = json!([{"type": "input_text", "text": text}]);
        self.append("response_item", json!({"type": "message", "role": "user", "content": content}));
    }

    /// Takes the message from the program into the queue.
    fn queue(&self) -> String {
        wait_until("the program is called", || self.home.join("message").exists());
        let message = fs::read_to_string(self.home.join("message")).expect("a message");
        let payload = json!({"UserInput": {"content": [{"type": "text", "text": message}]}}).to_string();
        let insert = "INSERT INTO queued_items VALUES (?1, ?2)";
        self.database().execute(insert, [SESSION, &payload]).expect("a row");
        message
    }

    /// Lets the program exit.
    fn answer(&self) {
        fs::write(self.home.join("queued"), "").expect("a file");
    }

    /// Starts a turn with the queued message.
    fn dispatch(&self, message: &str) {
        self.database().execute("DELETE FROM queued_items", []).expect("a table");
        self.turn("queue", message);
    }

    fn complete(&self) {
        let content = json!([{"type": "output_text", "text": "ok"}]);
        self.append("response_item", json!({"type": "message", "role": "assistant", "content": content}));
        self.append("event_msg", json!({"type": "task_complete", "turn_id": "t"}));
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.home.join("calls")).unwrap_or_default()
    }

    fn close(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Drop for Codex {
    fn drop(&mut self) {
        self.close();
    }
}

/// A process with the name of Codex that has locked this file.
fn hold(lock: &std::path::Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .arg0("codex")
        .args(["--exact", "codex::holds_the_lock_of_a_thread", "--nocapture"])
        .env(LOCK, lock);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut output = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    while !output.contains("locked") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("it locks the file");
        output.push(char::from(byte[0]));
    }
    child
}

/// Not a test: the process of [`hold`]. Ends with its standard input.
#[test]
fn holds_the_lock_of_a_thread() {
    let Some(path) = std::env::var_os(LOCK) else { return };
    let lock = File::create(path).expect("a file");
    flock(&lock, FlockOperation::LockExclusive).expect("it is locked");
    println!("locked");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn setup() -> (Setup, Codex) {
    let setup = Setup::new();
    let codex = Codex::new(&setup.home);
    let program = codex.home.join("codex");
    let sink =
        format!("preset = \"codex\"\nprogram = {:?}\ntimeout = \"60s\"", program.display().to_string());
    write_sink(&setup.home, &sink, "\"5ms\", \"5ms\", \"5ms\"");
    (setup, codex)
}

fn monitor(setup: &Setup, codex: &Codex, failpoints: &str) -> MonitorProcess {
    MonitorProcess::start_with(&setup.home, &[], failpoints, &[("CODEX_HOME", codex.home.as_os_str())])
}

#[test]
fn a_monitor_that_is_killed_while_it_queues_a_message_queues_it_once() {
    // Before the program starts to queue, after it has exited, and while its turn is watched.
    for point in ["sink/started=return", "sink/ended=return", ""] {
        let (setup, codex) = setup();
        let job = setup.launch(SESSION, "echo done");
        setup.wait_for_end(&[job]);
        let first = monitor(&setup, &codex, point);
        let message = codex.queue();
        codex.answer();
        if point.is_empty() {
            codex.dispatch(&message);
            wait_until("the program has exited", || {
                !setup.home.processes().iter().any(|process| process.command_line.contains("codex queue"))
            });
            first.kill_9();
        } else {
            first.crashed();
        }
        let second = monitor(&setup, &codex, "");
        if !point.is_empty() {
            codex.dispatch(&message);
        }
        codex.complete();
        setup.wait_for_state(job, FollowUpState::Acknowledged);
        second.kill_9();
        assert_eq!(codex.calls(), "queue\n", "{point}");
    }
}

#[test]
fn a_message_that_waits_is_not_sent_another_way_by_the_next_monitor() {
    let (setup, mut codex) = setup();
    let job = setup.launch(SESSION, "echo done");
    setup.wait_for_end(&[job]);
    let first = monitor(&setup, &codex, "");
    let message = codex.queue();
    first.kill_9();
    codex.answer();
    // The thread is closed before Codex has started a turn.
    codex.close();
    let second = monitor(&setup, &codex, "");
    wait_until("the next monitor has tried", || {
        let error = setup.job(job).follow_up.last_error;
        error.is_some_and(|error| error.contains("waits in the queue of codex until session"))
    });
    // Opened again.
    codex.dispatch(&message);
    codex.complete();
    setup.wait_for_state(job, FollowUpState::Acknowledged);
    second.kill_9();
    assert_eq!(codex.calls(), "queue\n");
    deliver_once(&setup.home);
}
