//! A client that sends exactly what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

/// Where a server listens.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    /// Host and port.
    Tcp(String),
    /// The path of a socket.
    Socket(PathBuf),
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Request {
        Request { method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Request {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Request {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Request {
        Request { body: body.into(), ..self }
    }

    /// Sends the request on a new connection, and reads the whole answer.
    pub(crate) fn send(self, address: &Address) -> Answer {
        let mut answer = self.header("Connection", "close").open(address);
        let mut body = Vec::new();
        answer.body.read_to_end(&mut body).expect("the body is complete");
        Answer { status: answer.status, headers: answer.headers, body }
    }

    /// Sends the request on a new connection, and reads the head of the answer.
    pub(crate) fn open(self, address: &Address) -> OpenAnswer {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        let has_host = self.headers.iter().any(|(name, _)| name == "Host");
        if !has_host {
            let host = match address {
                Address::Tcp(host) => host,
                Address::Socket(_) => "homing",
            };
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.method == "POST" || !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let mut connection = Connection::to(address);
        connection.write_all(head.as_bytes()).expect("it takes the head");
        // A server may refuse a request before it has read the body.
        let _ = connection.write_all(&self.body);
        OpenAnswer::read(connection)
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The code of the problem of an answer with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem["code"].as_str().expect("a code").to_owned()
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// An answer whose body arrives.
pub(crate) struct OpenAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl OpenAnswer {
    fn read(connection: Connection) -> OpenAnswer {
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).expect("it answers");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("it sends headers");
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let length = header(&headers, "content-length").and_then(|length| length.parse().ok());
        let is_chunked = header(&headers, "transfer-encoding") == Some("chunked");
        let rest = if is_chunked { Rest::Chunk(0) } else { length.map_or(Rest::UntilEnd, Rest::Bytes) };
        OpenAnswer { status, headers, body: Body { reader, rest } }
    }

    /// The messages of a stream.
    pub(crate) fn messages(self) -> Messages {
        assert_eq!(self.status, 200);
        assert_eq!(header(&self.headers, "content-type"), Some("text/event-stream"));
        Messages { lines: BufReader::new(self.body) }
    }
}

/// The messages of a stream of server-sent events.
pub(crate) struct Messages {
    lines: BufReader<Body>,
}

/// One message. A comment has neither an event nor data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Message {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Iterator for Messages {
    type Item = Message;

    /// The next message that is not a comment; `None` at the end of the stream, also if the connection breaks.
    fn next(&mut self) -> Option<Message> {
        let mut message = Message::default();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", id)) => message.id = Some(id.to_owned()),
                Some(("event", event)) => message.event = event.to_owned(),
                Some(("data", data)) => message.data = data.to_owned(),
                Some(other) => panic!("unknown field {other:?}"),
                None if line == "\n" && !message.event.is_empty() => return Some(message),
                None => {}
            }
        }
    }
}

/// The body of an answer, without its transfer encoding.
pub(crate) struct Body {
    reader: BufReader<Connection>,
    rest: Rest,
}

enum Rest {
    Bytes(u64),
    /// Bytes left of the current chunk.
    Chunk(u64),
    UntilEnd,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.rest {
            Rest::UntilEnd => self.reader.read(buffer),
            Rest::Bytes(left) => {
                let count = self.reader.by_ref().take(*left).read(buffer)?;
                *left -= count as u64;
                Ok(count)
            }
            Rest::Chunk(left) => {
                if *left == 0 {
                    let mut line = String::new();
                    self.reader.read_line(&mut line)?;
                    *left = u64::from_str_radix(line.trim_end(), 16).unwrap_or(0);
                    if *left == 0 {
                        self.rest = Rest::Bytes(0);
                        return Ok(0);
                    }
                }
                let count = self.reader.by_ref().take(*left).read(buffer)?;
                *left -= count as u64;
                if *left == 0 {
                    let mut end = [0; 2];
                    self.reader.read_exact(&mut end)?;
                }
                Ok(count)
            }
        }
    }
}

/// A connection to a server.
pub(crate) enum Connection {
    Tcp(TcpStream),
    Socket(UnixStream),
}

impl Connection {
    pub(crate) fn to(address: &Address) -> Connection {
        let timeout = Some(testkit::WAIT_TIMEOUT);
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).expect("it listens");
                stream.set_read_timeout(timeout).expect("it is set");
                Connection::Tcp(stream)
            }
            Address::Socket(path) => {
                let stream = UnixStream::connect(path).expect("it listens");
                stream.set_read_timeout(timeout).expect("it is set");
                Connection::Socket(stream)
            }
        }
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Connection::Tcp(stream) => stream.read(buffer),
            Connection::Socket(stream) => stream.read(buffer),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Connection::Tcp(stream) => stream.write(bytes),
            Connection::Socket(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
