//! Invalid lines are answered on standard output, and the connection continues.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::server::Setup;

/// A server on pipes. Dropping it stops it.
struct Piped {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Piped {
    fn start(setup: &Setup) -> Piped {
        let mut command = setup.command(&[]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is open"));
        Piped { input: child.stdin.take(), child, output }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.input.as_mut().expect("it is open").write_all(bytes).expect("it reads");
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// The answer to a line.
    fn ask(&mut self, line: &[u8]) -> Value {
        self.write(line);
        self.write(b"\n");
        self.read()
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn invalid_lines_are_answered_with_an_error() {
    let setup = Setup::new();
    let mut server = Piped::start(&setup);
    let broken: [(&[u8], i64, Value); 10] = [
        (b"{", -32700, Value::Null),
        (b"hello", -32700, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"", -32700, Value::Null),
        (br#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#, -32700, Value::Null),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\udc00"}}"#, -32700, Value::Null),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700, Value::Null),
        (b"[]", -32600, Value::Null),
        (b"7", -32600, Value::Null),
        (br#"{"id":null}"#, -32600, Value::Null),
        (br#"{"jsonrpc":"1.0","id":"a","method":"ping"}"#, -32600, json!("a")),
    ];
    // Before and after initialization.
    for _ in 0..2 {
        for (line, code, id) in &broken {
            let answer = server.ask(line);
            let shown = String::from_utf8_lossy(line);
            assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), id), "{shown}: {answer}");
            assert!(answer.get("id").is_some() && answer["jsonrpc"] == "2.0", "{answer}");
        }
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"},
        }});
        let answer = server.ask(hello.to_string().as_bytes());
        assert_eq!(answer["id"], 1, "{answer}");
        server.write(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    }
    for (method, params, code, words) in [
        ("tools/call", json!({"name": "run_command", "arguments": "true"}), -32602, "arguments an object"),
        ("tools/call", json!({"name": "run_command", "arguments": ["true"]}), -32602, "arguments an object"),
        ("tools/call", json!({"arguments": {}}), -32602, "name must be a string"),
        ("tools/kill", json!({}), -32601, "no method tools/kill"),
    ] {
        let line = json!({"jsonrpc": "2.0", "id": 2, "method": method, "params": params}).to_string();
        let answer = server.ask(line.as_bytes());
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(words)), "{answer}");
    }
    // A notification is never answered, and neither is a blank line.
    server.write(b"\n\r\n{\"method\":\"window/logMessage\"}\n");
    let answer = server.ask(br#"{"jsonrpc":"2.0","id":"last","method":"tools/list"}"#);
    assert_eq!(answer["id"], "last", "{answer}");
}

#[test]
fn a_line_that_is_too_long_is_answered_and_not_buffered() {
    let setup = Setup::new();
    let mut server = Piped::start(&setup);
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..40 {
        server.write(&piece);
    }
    let answer = server.read();
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &Value::Null), "{answer}");
    // The rest of that line is skipped.
    let answer = server.ask(b"\n{");
    assert_eq!(answer["error"]["code"], -32700, "{answer}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kilobytes < 120_000, "{peak}");
}

#[test]
fn a_thousand_invalid_lines_are_answered_one_by_one() {
    let setup = Setup::new();
    let mut server = Piped::start(&setup);
    let mut input = server.input.take().expect("it is open");
    let writer = std::thread::spawn(move || {
        input.write_all(&b"{broken\n".repeat(1_000)).expect("it reads");
        input
    });
    for _ in 0..1_000 {
        assert_eq!(server.read()["error"]["code"], -32700);
    }
    drop(writer.join().expect("no panic"));
}
