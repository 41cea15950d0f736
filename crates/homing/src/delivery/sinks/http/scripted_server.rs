//! A server for tests: sends scripted answers, one for each connection, and records the requests.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Timeout of every wait in a test.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// The reaction of a server to one request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Sends these bytes and closes.
    Send(Vec<u8>),
    /// Closes the connection without an answer.
    HangUp,
    /// Sends these bytes, then waits until the client gives up.
    Stall(Vec<u8>),
}

impl Answer {
    /// A status with headers (each `name: value`) and a body.
    pub(crate) fn status(status: u16, headers: &[&str], body: &[u8]) -> Answer {
        let mut bytes = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n", body.len());
        for header in headers {
            bytes.push_str(header);
            bytes.push_str("\r\n");
        }
        bytes.push_str("\r\n");
        Answer::Send([bytes.as_bytes(), body].concat())
    }
}

/// A request that a server received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    /// The value of a header that must occur once.
    pub(crate) fn header(&self, name: &str) -> &str {
        match self.header_values(name)[..] {
            [value] => value,
            ref values => panic!("{name}: {values:?}"),
        }
    }

    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(header, _)| header == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// A server on the loopback interface. Stops after its script, or when dropped.
pub(crate) struct ScriptedServer {
    pub(crate) address: SocketAddr,
    asked: Receiver<Asked>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    pub(crate) fn start(answers: Vec<Answer>) -> ScriptedServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
                // The connection that stops this server sends no request.
                let Some(asked) = read_request(&mut stream) else { return };
                sender.send(asked).unwrap();
                give(&answer, &mut stream);
            }
        });
        ScriptedServer { address, asked, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/wake", self.address)
    }

    /// The next request.
    pub(crate) fn next_asked(&self) -> Asked {
        self.asked.recv_timeout(WAIT_TIMEOUT).expect("the server received no request")
    }

    /// Stops the server and returns the remaining requests.
    pub(crate) fn finish(mut self) -> Vec<Asked> {
        self.end();
        self.asked.try_iter().collect()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Refused if the script has already finished.
            drop(TcpStream::connect(self.address));
            if thread.join().is_err() && !std::thread::panicking() {
                panic!("the scripted server failed");
            }
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn give(answer: &Answer, stream: &mut TcpStream) {
    // A client that has given up, or read enough, is not the server's failure.
    match answer {
        Answer::Send(bytes) => {
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        Answer::HangUp => {}
        Answer::Stall(bytes) => {
            let _ = stream.write_all(bytes);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

/// `None` if the client closes before it has sent a request.
fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_length = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        read_more(stream, &mut bytes)?;
    };
    let head = String::from_utf8(bytes[..head_length].to_vec()).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut asked = Asked { line, headers, body: String::new() };
    let body_length: usize = match asked.header_values("content-length")[..] {
        [] => 0,
        _ => asked.header("content-length").parse().unwrap(),
    };
    while bytes.len() < head_length + body_length {
        read_more(stream, &mut bytes)?;
    }
    asked.body = String::from_utf8(bytes.split_off(head_length)).unwrap();
    Some(asked)
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
    bytes.extend_from_slice(&chunk[..count]);
    Some(())
}
