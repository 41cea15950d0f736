//! A round over MCP on standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::setup::{Setup, code};

/// A connected server. Killed when it is dropped.
struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    requests: u64,
}

impl Server {
    fn start(setup: &Setup) -> Server {
        let mut command = setup.command(&["mcp", "--session", "chat"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut server = Server { child, input, output, requests: 0 };
        let client = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = server.ask("initialize", client);
        assert_eq!(answer["serverInfo"]["name"], "homing", "{answer:#}");
        server.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        server
    }

    fn send(&mut self, message: Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).expect("the server reads");
    }

    /// Sends a request, and returns the result.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).expect("the server answers"),
                0,
                "the server has ended"
            );
            let mut message: Value = serde_json::from_str(&line).expect("JSON");
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{message:#}");
                return message["result"].take();
            }
        }
    }

    /// Calls a tool, and returns its text and the facts about its job.
    fn call(&mut self, tool: &str, arguments: Value) -> (String, Value) {
        let result = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        text_and_job(&result)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of the result of a tool, and the facts about its job.
pub(crate) fn text_and_job(result: &Value) -> (String, Value) {
    let text = result["content"][0]["text"].as_str().expect("a text").to_owned();
    let facts = &result["_meta"];
    let job = facts.get("homing/job").or_else(|| facts["homing/jobs"].get(0)).cloned();
    (text, job.unwrap_or_default())
}

/// A script that runs the helper program with words that need no quotes.
pub(crate) fn script(setup: &Setup, words: &str) -> String {
    // Quoted and with slashes, a path means the same to every shell.
    format!("\"{}\" {words}", setup.tool_words(&[])[0].replace('\\', "/"))
}

#[test]
fn a_client_launches_a_job_waits_and_gets_the_result() {
    let setup = Setup::new();
    let mut server = Server::start(&setup);
    let tools = server.ask("tools/list", json!({}));
    let names: Vec<&str> =
        tools["tools"].as_array().expect("tools").iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(names.contains(&"run_command") && names.contains(&"wait_for_jobs"), "{names:?}");

    let go = setup.path("go").replace('\\', "/");
    let command = script(&setup, &format!("wait-for-file {go} , print from MCP , exit 3"));
    let (_, launched) = server.call("run_command", json!({"command": command, "run_in_background": true}));
    let id = launched["id"].as_str().expect("an id").to_owned();
    setup.create("go");
    let (text, job) = server.call("wait_for_jobs", json!({"job_ids": [id], "wait_ms": 180_000}));
    assert!(text.contains("exit code 3"), "{text}");
    assert_eq!(testkit::unframe(&text).inside.trim_end(), "from MCP");
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("finished"), &json!(3)));
    testkit::wait_until("the result is acknowledged", || setup.follow_up(&id) == "acknowledged");
}

#[test]
fn a_job_survives_its_killed_server_and_the_next_one_reports_it() {
    let setup = Setup::new();
    let mut first = Server::start(&setup);
    let go = setup.path("go").replace('\\', "/");
    let command = script(&setup, &format!("wait-for-file {go} , exit 5"));
    let (_, launched) = first.call("run_command", json!({"command": command, "run_in_background": true}));
    let id = launched["id"].as_str().expect("an id").to_owned();
    drop(first);
    assert_eq!(setup.job(&id)["state"], "running");
    setup.create("go");
    assert_eq!(code(&setup.end_of(&id)), 5);
    assert_eq!(setup.follow_up(&id), "pending");
    let (text, job) = Server::start(&setup).call("wait_for_jobs", json!({"job_ids": [id], "wait_ms": 0}));
    assert_eq!(job["exit_code"], 5, "{text}");
}
