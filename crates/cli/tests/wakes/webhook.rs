//! A webhook whose answer is lost with the monitor: the receiver gets the same wake again, with the same id.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use homing::FollowUpState;
use serde_json::Value;

use crate::monitors::{MonitorProcess, deliver_once, write_sink};
use crate::setup::Setup;

/// A request: the id from its header, and its body.
type Posted = (String, Value);

/// Receives and accepts wakes. Closes the first `drops` requests without an answer after reading them.
fn receiver(drops: usize) -> (String, Arc<Mutex<Vec<Posted>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/wake", listener.local_addr().expect("an address"));
    let received: Arc<Mutex<Vec<Posted>>> = Arc::default();
    let keep = Arc::clone(&received);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut reader = BufReader::new(connection.try_clone().expect("a reader"));
            let (mut id, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                match line.trim_end().split_once(':') {
                    Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => {
                        value.trim().clone_into(&mut id);
                    }
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.trim().parse().expect("a length");
                    }
                    Some(_) => {}
                    None if line.trim_end().is_empty() => break,
                    None => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let count = {
                let mut received = keep.lock().expect("no thread panics with the lock");
                received.push((id, serde_json::from_slice(&body).expect("JSON")));
                received.len()
            };
            if count > drops {
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                connection.write_all(answer).expect("the sender listens");
            }
        }
    });
    (url, received)
}

/// Checks that one wake was sent twice with the same id and content.
#[track_caller]
fn assert_the_same_twice(received: &[Posted]) {
    let contents: Vec<_> = received
        .iter()
        .map(|(id, body)| {
            let mut wake = body["data"].clone();
            let attempt = wake.as_object_mut().and_then(|fields| fields.remove("attempt"));
            assert_eq!(wake["id"], id.as_str());
            (wake, attempt.and_then(|attempt| attempt.as_u64()))
        })
        .collect();
    assert_eq!(contents.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(contents[0].0, contents[1].0);
}

#[test]
fn a_wake_is_sent_again_after_the_monitor_dies_before_the_answer() {
    let setup = Setup::new();
    let (url, received) = receiver(0);
    write_sink(&setup.home, &format!("webhook = \"{url}\""), "\"5ms\"");
    let id = setup.launch("chat", "exit 3");
    setup.wait_for_end(&[id]);
    MonitorProcess::start_once(&setup.home, "sink/answered=return").crashed();
    assert_eq!(setup.state(id), FollowUpState::Pending);
    deliver_once(&setup.home);
    assert_eq!(setup.state(id), FollowUpState::Acknowledged);
    assert_the_same_twice(&received.lock().expect("no thread panics with the lock"));
}

#[test]
fn a_wake_is_sent_again_if_no_answer_comes() {
    let setup = Setup::new();
    let (url, received) = receiver(1);
    write_sink(&setup.home, &format!("webhook = \"{url}\""), "\"5ms\"");
    let id = setup.launch("chat", "exit 3");
    let monitor = MonitorProcess::start(&setup.home, "");
    setup.wait_for_acknowledged(&[id]);
    assert_the_same_twice(&received.lock().expect("no thread panics with the lock"));
    monitor.kill_9();
}
