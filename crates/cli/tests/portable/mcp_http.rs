//! A round over MCP with HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::mcp::{script, text_and_job};
use crate::setup::Setup;

/// A server on a free port of this machine, and a session of the protocol. Killed when it is dropped.
struct Server {
    child: Child,
    /// The address, as `127.0.0.1:1234`.
    address: String,
    token: String,
    /// The session of the protocol, once the server has named it.
    session: Option<String>,
}

/// An answer of the server.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start(setup: &Setup) -> Server {
        let mut command = setup.command(&["mcp", "--http", "0", "--session", "chat"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("it prints its address");
        let address =
            line.split_once("http://").and_then(|(_, rest)| rest.split_once("/mcp")).map(|(it, _)| it);
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        // Read the rest, so that the server never waits for a reader.
        std::thread::spawn(move || stderr.lines().for_each(drop));
        let token = std::fs::read_to_string(setup.home.path().join("mcp.token")).expect("a token");
        Server { child, address, token: token.trim_end().to_owned(), session: None }
    }

    fn post(&self, token: &str, message: &Value) -> Reply {
        let body = message.to_string();
        let session = self.session.iter().map(|session| format!("Mcp-Session-Id: {session}\r\n"));
        let session: String = session.chain(["MCP-Protocol-Version: 2025-11-25\r\n".to_owned()]).collect();
        // Version 1.0: the answer has no chunks, and ends with the connection.
        let request = format!(
            "POST /mcp HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n{session}\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request, and returns the result.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let reply = self.post(&self.token, &message);
        assert_eq!(reply.status, 200, "{reply:?}");
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("mcp-session-id").then(|| value.trim().to_owned())
        };
        self.session = self.session.take().or_else(|| reply.head.lines().find_map(header));
        // An event for each message, or the message alone.
        let texts = reply.body.lines().map(|line| line.strip_prefix("data:").unwrap_or(line).trim());
        let mut messages = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok());
        let mut answer = messages.find(|message| message["id"] == 1).unwrap_or_else(|| panic!("{reply:?}"));
        assert!(answer.get("error").is_none(), "{answer:#}");
        answer["result"].take()
    }

    fn initialize(&mut self) {
        let client = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = self.ask("initialize", &client);
        assert_eq!(answer["serverInfo"]["name"], "homing", "{answer:#}");
        let reply = self.post(&self.token, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(reply.status, 202, "{reply:?}");
    }

    /// Calls a tool, and returns its text and the facts about its job.
    fn call(&mut self, tool: &str, arguments: &Value) -> (String, Value) {
        let result = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        text_and_job(&result)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_client_launches_a_job_over_http_and_gets_the_result() {
    let setup = Setup::new();
    let mut server = Server::start(&setup);
    server.initialize();
    let go = setup.path("go").replace('\\', "/");
    let command = script(&setup, &format!("wait-for-file {go} , print over HTTP , exit 3"));
    let directory = setup.home.scratch().to_str().expect("text");
    let arguments = json!({"command": command, "run_in_background": true, "cwd": directory});
    let (_, launched) = server.call("run_command", &arguments);
    let id = launched["id"].as_str().expect("an id").to_owned();
    setup.create("go");
    let (text, job) = server.call("wait_for_jobs", &json!({"job_ids": [id], "wait_ms": 180_000}));
    assert!(text.contains("exit code 3"), "{text}");
    assert_eq!(testkit::unframe(&text).inside.trim_end(), "over HTTP");
    assert_eq!((&job["state"], &job["exit_code"]), (&json!("finished"), &json!(3)));
    testkit::wait_until("the result is acknowledged", || setup.follow_up(&id) == "acknowledged");
}

#[test]
fn a_request_without_the_token_is_refused() {
    let setup = Setup::new();
    let server = Server::start(&setup);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for token in ["", "x", &server.token[1..]] {
        let reply = server.post(token, &message);
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(!reply.body.contains(&server.token));
    }
}
