//! The example hosts play the story of a chat, against a server that is killed in the middle.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use testkit::wait_until;

use crate::server::Setup;

/// Starts the host with a job that waits for a file, kills the server, lets the job end, and starts the server again.
fn play(setup: &Setup, start: impl FnOnce(&str, &str) -> Command) {
    let server = setup.serve();
    let (host, token) = (server.host(), setup.token("session:chat-1"));
    let gate = setup.home.scratch().join("gate");
    let script = format!("while [ ! -e '{}' ]; do sleep 0.05; done; echo the-result", gate.display());
    let mut command = start(&host, &script);
    command.env("HOMING_TOKEN", &token).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Ended(command.spawn().expect("it starts"));
    let mut lines = BufReader::new(child.0.stdout.take().expect("it is open")).lines();
    let launched = lines.next().expect("a line").expect("it is text");
    let id = launched.strip_prefix("launched ").expect("the id").to_owned();
    wait_until("the host waits for the wake", || {
        server.get("/metrics").text().contains("homing_streams_open 1\n")
    });
    server.kill();
    std::fs::write(&gate, "").expect("it is written");
    setup.wait_for_end(&id);
    let server = crate::server::Server::start(setup.command(&["serve", "--json", "--listen", &host]));
    let rest: Vec<String> = lines.map(|line| line.expect("it is text")).collect();
    assert!(rest.iter().any(|line| line.contains("the-result")), "{rest:?}");
    assert!(child.0.wait().expect("it ends").success());
    assert_eq!(setup.follow_up(&id), "acknowledged");
    let jobs = server.get("/api/v1/jobs").expect(200);
    assert_eq!(
        (jobs["jobs"].as_array().expect("a list").len(), &jobs["jobs"][0]["session"]),
        (1, &json!("chat-1"))
    );
}

/// A child that is killed if the test fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    path.to_str().expect("it is text").to_owned()
}

/// Whether a program runs and succeeds with these arguments.
fn works(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn the_host_in_javascript_survives_a_kill_of_the_server() {
    if !works("node", &["-e", "process.exit(typeof fetch === 'function' ? 0 : 1)"]) {
        return testkit::skip("no Node.js with fetch");
    }
    let setup = Setup::new();
    play(&setup, |host, script| {
        let mut command = Command::new("node");
        command.args([&example("host.mjs"), script]).env("HOMING_URL", format!("http://{host}"));
        command
    });
}

#[test]
fn the_host_in_python_survives_a_kill_of_the_server() {
    let python = std::env::var("HOMING_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !works(&python, &["-c", "import httpx"]) {
        return testkit::skip("no Python with httpx");
    }
    let setup = Setup::new();
    let socket = setup.home.path().join("serve/sock");
    play(&setup, |_, script| {
        let mut command = Command::new(&python);
        command.args([&example("python/http_host.py"), script]).env("HOMING_SOCKET", &socket);
        command
    });
}
