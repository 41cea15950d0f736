//! A webhook gets the wakes of its sessions, over a connection to this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use testkit::WAIT_TIMEOUT;

use crate::monitor::{monitor, wait_for_acknowledged};
use crate::setup::Setup;

/// A request that the receiver got.
struct Received {
    /// `POST /path HTTP/1.1`.
    line: String,
    /// The headers, with names in lower case.
    headers: Vec<(String, String)>,
    body: Value,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or_else(|| panic!("no header {name}: {:?}", self.headers), |(_, value)| value.as_str())
    }
}

/// Listens on a free port, and answers each request with the next of these statuses. Returns the address and the requests.
fn receiver(statuses: Vec<&'static str>) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().expect("a connection");
            let _ = sender.send(answer(stream, status));
        }
    });
    (address, received)
}

/// Reads one request, and answers it.
fn answer(stream: TcpStream, status: &str) -> Received {
    let mut reader = BufReader::new(stream);
    let mut next_line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    };
    let line = next_line();
    let mut headers = Vec::new();
    loop {
        let header = next_line();
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
    let mut body = vec![0; length.expect("a length").expect("a number")];
    reader.read_exact(&mut body).expect("the body");
    let body = serde_json::from_slice(&body).expect("JSON");
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.into_inner().write_all(head.as_bytes()).expect("it reads the answer");
    Received { line, headers, body }
}

#[test]
fn a_webhook_gets_the_wake_until_it_accepts_it() {
    let setup = Setup::new();
    let (address, received) =
        receiver(vec!["500 Internal Server Error", "503 Service Unavailable", "204 No Content"]);
    let retries = vec!["\"5ms\""; 60].join(", ");
    setup.configure(&format!(
        "[sinks.hook]\nwebhook = \"http://{address}/wake\"\n\n[[routes]]\nsink = \"hook\"\n\n[monitor]\n\
         autostart = false\nbatch_window = \"0s\"\nretries = [{retries}]\nbusy_retry = \"1ms\"\n"
    ));
    let _monitor = monitor(&setup);
    let id = setup.launch(&["--session", "chat"], &["print", "grüße → you", ",", "exit", "3"]);
    let requests: Vec<Received> =
        (0..3).map(|_| received.recv_timeout(WAIT_TIMEOUT).expect("a request")).collect();
    wait_for_acknowledged(&setup, &id);
    for request in &requests {
        assert_eq!(request.line, "POST /wake HTTP/1.1");
        assert_eq!(request.header("webhook-id"), requests[0].header("webhook-id"));
        assert!(request.header("content-type").starts_with("application/json"));
        let wake = &request.body["data"];
        assert_eq!((&request.body["type"], &wake["session"]), (&json!("job.finished"), &json!("chat")));
        assert_eq!((&wake["jobs"][0]["id"], &wake["id"]), (&json!(id), &json!(request.header("webhook-id"))));
        let text = wake["text"].as_str().expect("a text");
        assert!(text.contains("exit code 3") && text.contains("grüße → you"), "{text}");
    }
}

#[test]
fn a_session_that_the_webhook_does_not_know_is_not_tried_again() {
    let setup = Setup::new();
    let (address, received) = receiver(vec!["410 Gone"]);
    setup.configure(&format!(
        "[sinks.hook]\nwebhook = \"http://{address}/wake\"\n\n[[routes]]\nsink = \"hook\"\n\n[monitor]\nautostart = false\n"
    ));
    let job = setup.finished(&[], &["exit", "0"]);
    for _ in 0..2 {
        assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    }
    assert_eq!(setup.follow_up(job["id"].as_str().expect("an id")), "dead");
    assert_eq!(received.try_iter().count(), 1);
}
