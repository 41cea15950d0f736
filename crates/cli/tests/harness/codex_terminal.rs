//! Codex, open in a terminal, with simulated typing, or in a client of its server.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::{Action, Rule, Who, wait_until};

use crate::codex::config;
use crate::offline::offline;
use crate::stage::{FINISHES_AT_GATE, PRINTED, Stage};
use crate::terminal::Terminal;

/// The preface of a message in the queue.
const PREFACE: &str = "This message is automatic: homing wrote it, not the user.";

/// A tool call that keeps a turn busy until the file `end` exists in the home directory.
const BUSY: &str = "until [ -e ~/end ]; do sleep 0.05; done; echo busy no more";

/// A stage whose model launches a job at LAUNCH, and is busy at BUSY. `settings` are lines of the configuration of Codex.
fn stage(settings: &str) -> Option<Stage> {
    let rules = vec![
        Rule::new(Who::User, PRINTED, Action::Say("WOKEN".to_owned())),
        Rule::new(Who::User, "LAUNCH", Action::Shell(FINISHES_AT_GATE.to_owned())),
        Rule::new(Who::User, "BUSY", Action::Shell(BUSY.to_owned())),
        Rule::new(Who::Tool, "busy no more", Action::Say("READY".to_owned())),
        Rule::new(Who::Tool, "", Action::Say("LAUNCHED".to_owned())),
    ];
    let mut stage = Stage::following(rules, "codex", "Codex")?;
    stage.set("CODEX_HOME", stage.home.scratch().join("codex"));
    stage
        .write("config.toml", "agents = [\"codex\"]\n[monitor]\nautostart = false\nbusy_retry = \"100ms\"\n");
    let trust = format!("[projects.{:?}]\ntrust_level = \"trusted\"\n", stage.project());
    // In the sandbox of Codex, a job would end with its tool call.
    let open = "sandbox_mode = \"danger-full-access\"\napproval_policy = \"never\"\n";
    stage.write("codex/config.toml", &format!("{open}{settings}\n{}{trust}", config(&stage.model.url())));
    Some(stage)
}

/// Codex, open in a terminal, and its background server.
struct Open<'a> {
    stage: &'a Stage,
    terminal: Terminal,
}

impl<'a> Open<'a> {
    /// Opens it and asks its model to launch a job, which runs until [`Open::finish_job`].
    fn launching(stage: &'a Stage, arguments: &[&str]) -> Open<'a> {
        let open = Open::with(stage, arguments);
        open.say("LAUNCH please", "LAUNCH");
        open.wait_until_said("LAUNCHED");
        open
    }

    fn with(stage: &'a Stage, arguments: &[&str]) -> Open<'a> {
        let mut command = stage.command("codex");
        command.args(arguments);
        Open { stage, terminal: Terminal::start(command) }
    }

    /// Sends a message of the user, which arrives with the text `mark`.
    fn say(&self, line: &str, mark: &str) {
        let arrived = || self.stage.model.asked().iter().any(|asked| asked.text.contains(mark));
        self.terminal.type_in(&format!("{line}\r"), arrived);
    }

    /// Waits until the model has said that, and the turn has ended.
    fn wait_until_said(&self, text: &str) {
        wait_until(&format!("the turn has ended with {text}"), || {
            lines(self.stage).iter().any(|line| line["payload"]["last_agent_message"] == text)
        });
    }

    /// Lets the job finish.
    fn finish_job(&self) {
        self.stage.write("gate", "");
        let job = self.stage.finished_job();
        assert_eq!(job["session"], thread(self.stage), "{job:#}");
    }

    /// Kills Codex in the terminal, and its starter. The background server keeps running.
    fn kill(&mut self) {
        kill(self.stage, |command| !command.contains(" app-server"));
        let _ = self.terminal.child.wait();
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        kill(self.stage, |_| true);
    }
}

/// Kills processes of Codex.
fn kill(stage: &Stage, is_wanted: impl Fn(&str) -> bool) {
    for process in stage.home.processes() {
        if process.command_line.contains("/bin/codex") && is_wanted(&process.command_line) {
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).expect("a process id");
            // It may have ended with another one.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The lines of the only rollout.
fn lines(stage: &Stage) -> Vec<Value> {
    let text = rollout(stage).and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn rollout(stage: &Stage) -> Option<PathBuf> {
    let mut folders = vec![stage.home.scratch().join("codex/sessions")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => return Some(path),
            }
        }
    }
    None
}

fn thread(stage: &Stage) -> String {
    lines(stage)[0]["payload"]["id"].as_str().expect("an id").to_owned()
}

/// The messages that wait in the queue of Codex.
fn count_queued(stage: &Stage) -> u64 {
    let path = stage.home.scratch().join("codex/queue_1.sqlite");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = rusqlite::Connection::open_with_flags(path, flags).expect("a database");
    let count = database.query_row("SELECT count(*) FROM queued_items", [], |row| row.get::<_, i64>(0));
    u64::try_from(count.expect("a table")).expect("a count")
}

/// A monitor that runs until it is dropped.
struct Monitor(Child);

impl Monitor {
    fn start(stage: &Stage) -> Monitor {
        let mut command: Command = stage.command("homing");
        command.arg("monitor").stdout(Stdio::null()).stderr(Stdio::null());
        Monitor(command.spawn().expect("it runs"))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks that the agent got the result once, as a message that does not pretend to be from the user.
#[track_caller]
fn assert_woken(stage: &Stage) {
    stage.assert_woken(false, "LAUNCH please");
    let asked = stage.model.asked();
    let woken = asked.iter().find(|asked| asked.text.contains(PRINTED)).expect("that was checked");
    assert!(woken.text.starts_with(PREFACE), "{woken:#?}");
}

#[test]
fn an_idle_thread_is_notified_and_a_draft_stays() {
    offline("codex_terminal::an_idle_thread_is_notified_and_a_draft_stays", || {
        let Some(stage) = stage("") else { return };
        let open = Open::launching(&stage, &[]);
        open.terminal.press("half a dr");
        open.finish_job();
        let began = Instant::now();
        stage.wake();
        eprintln!("the monitor delivered the result in {:?}", began.elapsed());
        assert_woken(&stage);
        open.wait_until_said("WOKEN");
        open.terminal.press("aft");
        wait_until("the draft is sent", || {
            open.terminal.press("\r");
            std::thread::sleep(Duration::from_millis(100));
            stage.model.asked().iter().any(|asked| asked.text == "half a draft")
        });
    });
}

#[test]
fn a_busy_thread_is_notified_when_its_turn_ends() {
    offline("codex_terminal::a_busy_thread_is_notified_when_its_turn_ends", || {
        let Some(stage) = stage("") else { return };
        let open = Open::launching(&stage, &[]);
        open.say("BUSY please", "BUSY");
        open.finish_job();
        let first = Monitor::start(&stage);
        wait_until("the message is queued", || count_queued(&stage) == 1);
        // A monitor that is killed meanwhile does no harm.
        drop(first);
        let _second = Monitor::start(&stage);
        stage.write("end", "");
        stage.wait_until_delivered();
        open.wait_until_said("WOKEN");
        assert_woken(&stage);
    });
}

#[test]
fn a_thread_is_notified_after_its_terminal_is_closed_or_killed() {
    offline("codex_terminal::a_thread_is_notified_after_its_terminal_is_closed_or_killed", || {
        for is_killed in [false, true] {
            let Some(stage) = stage("") else { return };
            let mut open = Open::launching(&stage, &[]);
            if is_killed {
                open.kill();
            } else {
                open.terminal.press("/quit");
                std::thread::sleep(Duration::from_millis(200));
                open.terminal.press("\r");
                wait_until("Codex has quit", || open.terminal.child.try_wait().expect("our child").is_some());
            }
            open.finish_job();
            stage.wake();
            assert_woken(&stage);
        }
    });
}

#[test]
fn a_thread_that_codex_has_unloaded_is_resumed() {
    offline("codex_terminal::a_thread_that_codex_has_unloaded_is_resumed", || {
        let Some(stage) = stage("thread_unload_delay_secs = 1") else { return };
        let mut open = Open::launching(&stage, &[]);
        open.kill();
        open.finish_job();
        let lock = stage.home.scratch().join(format!("codex/thread-writer-locks/{}.lock", thread(&stage)));
        wait_until("Codex has unloaded the thread", || !lock.exists());
        stage.wake();
        assert_woken(&stage);
        let triggers = lines(&stage);
        let triggers =
            triggers.iter().filter_map(|line| line["payload"]["turn_attribution"]["turn_trigger"].as_str());
        assert_eq!(triggers.collect::<Vec<_>>(), ["user", "exec"]);
    });
}

#[test]
fn a_thread_in_a_terminal_without_a_background_server_is_notified() {
    offline("codex_terminal::a_thread_in_a_terminal_without_a_background_server_is_notified", || {
        let Some(stage) = stage("") else { return };
        let open = Open::launching(&stage, &["--no-daemon"]);
        open.finish_job();
        let began = Instant::now();
        stage.wake();
        eprintln!("the monitor delivered the result in {:?}", began.elapsed());
        assert_woken(&stage);
    });
}

#[test]
fn an_interrupted_turn_is_retried() {
    offline("codex_terminal::an_interrupted_turn_is_retried", || {
        let Some(stage) = stage("") else { return };
        let open = Open::launching(&stage, &[]);
        open.finish_job();
        stage.model.hold();
        let monitor = Monitor::start(&stage);
        wait_until("the turn with the result runs", || {
            stage.model.asked().iter().any(|asked| asked.text.contains(PRINTED))
        });
        wait_until("the turn is aborted", || {
            // Escape does nothing before the terminal shows the turn.
            open.terminal.press("\x1b");
            std::thread::sleep(Duration::from_millis(500));
            lines(&stage).iter().any(|line| line["payload"]["type"] == "turn_aborted")
        });
        stage.model.release();
        // Codex holds its queue until the user writes again.
        wait_until("the message is queued again", || count_queued(&stage) == 1);
        open.say("HELLO", "HELLO");
        wait_until("the result is acknowledged", || stage.job()["follow_up"]["state"] == "acknowledged");
        open.wait_until_said("WOKEN");
        drop(monitor);
    });
}

#[test]
fn a_thread_that_exec_holds_is_resumed_afterwards() {
    offline("codex_terminal::a_thread_that_exec_holds_is_resumed_afterwards", || {
        let Some(stage) = stage("") else { return };
        // Begun in a terminal: the rollout does not tell that `codex exec` holds it now.
        let mut open = Open::launching(&stage, &["--no-daemon"]);
        open.terminal.press("\x03\x03");
        open.kill();
        let mut exec = stage.command("codex");
        exec.args(["exec", "--json", "--skip-git-repo-check", "resume", &thread(&stage), "BUSY please"]);
        let mut exec = exec.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        wait_until("the turn runs", || stage.model.asked().iter().any(|asked| asked.text.contains("BUSY")));
        open.finish_job();
        stage.wake();
        let held = stage.job()["follow_up"].clone();
        assert_eq!(held["state"], "pending", "{held:#}");
        assert_eq!(count_queued(&stage), 0);
        stage.write("end", "");
        assert!(exec.wait().expect("our child").success());
        let _monitor = Monitor::start(&stage);
        stage.wait_until_delivered();
        assert_woken(&stage);
    });
}

#[test]
fn a_hook_does_not_deliver_what_waits_in_the_queue() {
    offline("codex_terminal::a_hook_does_not_deliver_what_waits_in_the_queue", || {
        let Some(stage) = stage("") else { return };
        stage.set_up("codex");
        // After this time, the monitor reports that the thread is busy, and a hook might claim the result.
        let sink = "[sinks.codex]\npreset = \"codex\"\ntimeout = \"5s\"\n";
        stage.write("config.toml", &format!("agents = [\"codex\"]\nmonitor.autostart = false\n{sink}"));
        let open = Open::launching(&stage, &["--dangerously-bypass-hook-trust"]);
        open.say("BUSY please", "BUSY");
        open.finish_job();
        let monitor = Monitor::start(&stage);
        wait_until("the monitor waits for the end of the turn", || {
            let error = stage.job()["follow_up"]["last_error"].clone();
            error.as_str().is_some_and(|error| error.contains("waits in the queue"))
        });
        drop(monitor);
        stage.write("end", "");
        open.wait_until_said("WOKEN");
        let _monitor = Monitor::start(&stage);
        wait_until("the result is acknowledged", || stage.job()["follow_up"]["state"] == "acknowledged");
        // The turn has ended, and the hook at its end too.
        assert_woken(&stage);
    });
}

#[test]
fn a_thread_that_an_editor_has_open_is_notified() {
    offline("codex_terminal::a_thread_that_an_editor_has_open_is_notified", || {
        let Some(stage) = stage("") else { return };
        let editor = Editor::start(&stage);
        let thread = editor.ask("thread/start", &json!({"cwd": stage.project()}))["thread"]["id"].clone();
        let input = json!([{"type": "text", "text": "LAUNCH please"}]);
        editor.ask("turn/start", &json!({"threadId": thread, "input": input}));
        editor.wait_for_turns(1);
        assert_eq!(lines(&stage)[0]["payload"]["originator"], "codex_vscode");
        stage.write("gate", "");
        assert_eq!(stage.finished_job()["session"], thread);
        stage.wake();
        assert_woken(&stage);
        // The editor shows the turn.
        editor.wait_for_turns(2);
    });
}

/// A client of the server of Codex that gives the name of its VS Code extension.
struct Editor<'a> {
    stage: &'a Stage,
    server: RefCell<Child>,
    lines: RefCell<Lines<BufReader<ChildStdout>>>,
    completed: Cell<usize>,
}

impl Editor<'_> {
    fn start(stage: &Stage) -> Editor<'_> {
        let mut command = stage.command("codex");
        command.arg("app-server").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = command.spawn().expect("it runs");
        let lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
        let (server, lines) = (RefCell::new(server), RefCell::new(lines));
        let editor = Editor { stage, server, lines, completed: Cell::new(0) };
        let client = json!({"name": "codex_vscode", "title": "Codex", "version": "1"});
        editor.ask("initialize", &json!({"clientInfo": client}));
        editor.send(&json!({"method": "initialized"}));
        editor
    }

    fn send(&self, message: &Value) {
        let mut server = self.server.borrow_mut();
        writeln!(server.stdin.as_mut().expect("a pipe"), "{message}").expect("it reads");
    }

    /// Sends a request and returns its result.
    fn ask(&self, method: &str, params: &Value) -> Value {
        self.send(&json!({"id": method, "method": method, "params": params}));
        loop {
            let message = self.next();
            if message["id"] == method {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    fn next(&self) -> Value {
        let line = self.lines.borrow_mut().next().expect("it runs").expect("text");
        let message: Value = serde_json::from_str(&line).expect("JSON");
        if message["method"] == "turn/completed" {
            self.completed.set(self.completed.get() + 1);
        }
        message
    }

    /// Waits until the server has reported that many completed turns.
    fn wait_for_turns(&self, count: usize) {
        while self.completed.get() < count {
            self.next();
        }
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        kill(self.stage, |_| true);
        let _ = self.server.borrow_mut().wait();
    }
}
