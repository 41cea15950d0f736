//! A process that cannot create a thread reports that or continues without it. It never aborts.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use homing::JobId;
use serde_json::{Value, json};
use testkit::{TempHome, WAIT_TIMEOUT, skip, wait_until};

use crate::setup::{PROGRAM, is_root};

/// A user without privileges: the limit on processes and threads does not apply to root.
const USER: u32 = 65534;

/// A home that belongs to that user, and the program at a path that the user can reach.
struct Setup {
    home: TempHome,
    program: String,
}

impl Setup {
    fn new() -> Option<Setup> {
        if !is_root() {
            skip("only root can become another user");
            return None;
        }
        let home = TempHome::new();
        chown(home.scratch(), Some(USER), Some(USER)).expect("root may give it away");
        // The sources may lie in a directory that only root can enter.
        let program = home.scratch().join("homing");
        std::fs::hard_link(PROGRAM, &program)
            .or_else(|_| std::fs::copy(PROGRAM, &program).map(drop))
            .expect("the program is given to the user");
        let program = program.to_str().expect("text").to_owned();
        Some(Setup { home, program })
    }

    /// A program that runs as the user.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.home.command(program);
        command
            .args(arguments)
            .uid(USER)
            .gid(USER)
            .env("XDG_CONFIG_HOME", self.home.scratch())
            .env_remove("HOMING_CONFIG")
            .current_dir(self.home.scratch())
            .stdin(Stdio::null());
        command
    }

    /// The program under test.
    fn homing(&self, arguments: &[&str]) -> Command {
        self.command(&self.program, arguments)
    }

    /// The same, unable to create a thread or a process.
    fn confined(&self, arguments: &[&str]) -> Command {
        self.command("prlimit", &[&["--nproc=0", &self.program], arguments].concat())
    }

    fn launch(&self, script: &str) -> JobId {
        let output = self.homing(&["run", script]).output().expect("it runs");
        text(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("{output:?}"))
    }

    fn job(&self, id: JobId) -> Value {
        let output = self.homing(&["show", "--json", id.as_str()]).output().expect("it runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn says(output: &Output, status: i32, words: &str) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(text(&output.stderr).contains(words), "{output:?}");
}

#[test]
fn commands_that_cannot_create_a_thread_report_it_or_continue() {
    let Some(setup) = Setup::new() else { return };
    let gate = setup.home.scratch().join("gate");
    let id = setup.launch(&format!("until [ -e '{}' ]; do sleep 0.02; done; echo through", gate.display()));

    says(&setup.confined(&["run", "true"]).output().unwrap(), 1, "cannot start supervisor");
    says(&setup.confined(&["mcp"]).output().unwrap(), 1, "cannot make a thread");

    let mut waiting = [&["wait"][..], &["output", "--follow"]].map(|verb| {
        let mut command = setup.confined(&[verb, &[id.as_str()]].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    std::fs::write(&gate, "").unwrap();
    for waiting in &mut waiting {
        assert!(waiting.wait().unwrap().success());
    }
    says(&setup.confined(&["list"]).output().unwrap(), 0, "");
}

#[test]
fn a_monitor_that_cannot_create_a_thread_holds_wakes_and_does_not_abort() {
    let Some(setup) = Setup::new() else { return };
    let id = setup.launch("true");
    wait_until("it ends", || setup.job(id)["state"] == "finished");
    let output = setup.confined(&["monitor", "--once", "--command", "true"]).output().unwrap();
    says(&output, 0, "cannot start a thread");
    assert_eq!(setup.job(id)["follow_up"]["state"], "pending");
    // A standby monitor reports why it cannot wait, and keeps trying.
    let mut active = setup.homing(&["monitor", "--command", "true"]).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first monitor wakes", || setup.job(id)["follow_up"]["state"] == "acknowledged");
    let mut standby =
        setup.confined(&["monitor", "--command", "true"]).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(standby.stderr.take().unwrap()).lines().map_while(Result::ok);
    let reason = lines.into_iter().find(|line| line.contains("thread"));
    for monitor in [&mut active, &mut standby] {
        monitor.kill().unwrap();
        monitor.wait().unwrap();
    }
    assert!(reason.is_some_and(|line| line.contains("trying again in")));
}

#[test]
fn an_mcp_server_continues_with_the_threads_it_has() {
    let Some(setup) = Setup::new() else { return };
    let mut command = setup.homing(&["mcp"]);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let output = BufReader::new(server.stdout.take().unwrap());
    let (line, lines) = mpsc::channel();
    std::thread::spawn(move || output.lines().try_for_each(|read| line.send(read.unwrap())));
    let mut ask = |id: u32, method: &str, params: Value| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(input, "{message}").unwrap();
        lines.recv_timeout(WAIT_TIMEOUT).unwrap_or_else(|error| panic!("no answer to {method}: {error}"))
    };
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"}});
    ask(1, "initialize", hello);
    let limit = ["--nproc=0", "--pid", &server.id().to_string()];
    assert!(setup.command("prlimit", &limit).status().unwrap().success());
    let answer = ask(2, "tools/call", json!({"name": "list_jobs", "arguments": {}}));
    assert!(answer.contains("No jobs to list"), "{answer}");
    let answer = ask(3, "tools/call", json!({"name": "run_command", "arguments": {"command": "true"}}));
    assert!(answer.contains("cannot start supervisor"), "{answer}");
    drop(input);
    assert!(server.wait().unwrap().success());
}
