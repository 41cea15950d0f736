//! A client that writes and reads the messages of revision 2026-07-28 itself, over both transports. It shows what a
//! library hides: streams of notifications, ids and how they end.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testkit::WAIT_TIMEOUT;

use crate::client::Transport;
use crate::server::{HttpServer, Setup};

/// Both transports.
pub(crate) const TRANSPORTS: [Transport; 2] = [Transport::Stdio, Transport::Http];

pub(crate) const HEARTBEAT: &str = "notifications/events/heartbeat";

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Where the messages for each open request go.
type Routes = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A client of one server.
pub(crate) struct Raw {
    link: Link,
    session: String,
    has_tasks: bool,
    next_id: u64,
}

enum Link {
    Stdio { child: Child, input: Option<ChildStdin>, routes: Routes },
    Http(HttpServer),
}

/// The messages that answer one request.
pub(crate) struct Stream {
    pub(crate) id: u64,
    messages: Receiver<Value>,
    /// Over HTTP: the connection of the request.
    connection: Option<TcpStream>,
}

impl Raw {
    /// Connects to a new server, for a session.
    pub(crate) fn connect(setup: &Setup, transport: Transport, session: &str) -> Raw {
        Raw::connect_with(setup, transport, session, &[])
    }

    /// As [`Raw::connect`], with arguments of the server.
    pub(crate) fn connect_with(
        setup: &Setup,
        transport: Transport,
        session: &str,
        arguments: &[&str],
    ) -> Raw {
        let link = match transport {
            Transport::Stdio => {
                let mut command = setup.command(arguments);
                let mut child =
                    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
                let (input, output) = (child.stdin.take(), child.stdout.take().expect("open"));
                let routes = Routes::default();
                let to = Arc::clone(&routes);
                std::thread::spawn(move || {
                    for line in BufReader::new(output).lines().map_while(Result::ok) {
                        route(serde_json::from_str(&line).expect("a message"), &to);
                    }
                    to.lock().expect("no panic").clear();
                });
                Link::Stdio { child, input, routes }
            }
            Transport::Http => Link::Http(setup.serve_http(arguments)),
        };
        Raw { link, session: session.to_owned(), has_tasks: false, next_id: 1 }
    }

    /// Declares the Tasks extension from now on.
    pub(crate) fn with_tasks(mut self) -> Raw {
        self.has_tasks = true;
        self
    }

    /// Sends further requests for this session.
    pub(crate) fn switch_to(&mut self, session: &str) {
        session.clone_into(&mut self.session);
    }

    /// The process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        match &self.link {
            Link::Stdio { child, .. } => child.id(),
            Link::Http(server) => server.pid(),
        }
    }

    /// Sends a request and returns its whole answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let stream = self.open(method, params);
        loop {
            let message = stream.next();
            if message.get("id").is_some() {
                return message;
            }
        }
    }

    /// Sends a request and returns its result.
    #[track_caller]
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        answer.get("result").unwrap_or_else(|| panic!("{method}: {answer}")).clone()
    }

    /// Sends a request and returns its error.
    #[track_caller]
    pub(crate) fn error(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        answer.get("error").unwrap_or_else(|| panic!("{method}: {answer}")).clone()
    }

    /// Launches a script in the background. Returns the id of its job.
    #[track_caller]
    pub(crate) fn launch(&mut self, command: &str) -> String {
        let arguments = json!({"command": command, "run_in_background": true});
        let result = self.result("tools/call", json!({"name": "run_command", "arguments": arguments}));
        let id = result["_meta"]["homing/job"]["id"].as_str().or(result["taskId"].as_str());
        id.unwrap_or_else(|| panic!("no job: {result}")).to_owned()
    }

    /// Sends a request that is answered with several messages.
    pub(crate) fn open(&mut self, method: &str, mut params: Value) -> Stream {
        let id = self.next_id;
        self.next_id += 1;
        let extensions =
            if self.has_tasks { json!({"io.modelcontextprotocol/tasks": {}}) } else { json!({}) };
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
            "homing/session": self.session,
        });
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let (sender, messages) = channel();
        let connection = match &mut self.link {
            Link::Stdio { input, routes, .. } => {
                routes.lock().expect("no panic").insert(id, sender);
                writeln!(input.as_mut().expect("open"), "{message}").expect("it takes the request");
                None
            }
            Link::Http(server) => Some(post(server, &message, sender)),
        };
        Stream { id, messages, connection }
    }

    /// Cancels a request as its transport requires.
    pub(crate) fn cancel(&mut self, stream: &Stream) {
        match (&mut self.link, &stream.connection) {
            (Link::Stdio { input, .. }, _) => {
                let params = json!({"requestId": stream.id});
                let message =
                    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
                writeln!(input.as_mut().expect("open"), "{message}").expect("it takes the notification");
            }
            (Link::Http(_), connection) => {
                let connection = connection.as_ref().expect("a request over HTTP has a connection");
                connection.shutdown(Shutdown::Both).expect("it closes");
            }
        }
    }

    /// Closes standard input, and returns the exit code of the server.
    pub(crate) fn close(mut self) -> Option<i32> {
        match &mut self.link {
            Link::Stdio { child, input, .. } => {
                drop(input.take());
                child.wait().expect("it ends").code()
            }
            Link::Http(_) => panic!("a server over HTTP does not end with its client"),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Link::Stdio { child, .. } = &mut self.link {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Stream {
    /// The next message.
    #[track_caller]
    pub(crate) fn next(&self) -> Value {
        self.messages.recv_timeout(WAIT_TIMEOUT).expect("the server sends a message")
    }

    /// The parameters of the next message, which is a notification of this method on this stream. Skips heartbeats.
    #[track_caller]
    pub(crate) fn notification(&self, method: &str) -> Value {
        let mut message = self.next();
        while message["method"] == HEARTBEAT && method != HEARTBEAT {
            message = self.next();
        }
        assert_eq!(message["method"], method, "{message}");
        assert_eq!(message["params"]["_meta"], json!({SUBSCRIPTION_ID: self.id}), "{message}");
        message["params"].clone()
    }

    /// Whether nothing but heartbeats has arrived.
    pub(crate) fn is_silent(&self) -> bool {
        self.messages.try_iter().all(|message| message["method"] == HEARTBEAT)
    }
}

/// Passes a message of standard output to its request.
fn route(message: Value, routes: &Routes) {
    let id = message["id"].as_u64().or(message["params"]["_meta"][SUBSCRIPTION_ID].as_u64());
    let routes = routes.lock().expect("no panic");
    if let Some(route) = id.and_then(|id| routes.get(&id)) {
        // The test may have finished with it.
        let _ = route.send(message);
    }
}

/// Posts a message, and passes what the server sends on.
fn post(server: &HttpServer, message: &Value, to: Sender<Value>) -> TcpStream {
    let (method, params) = (message["method"].as_str().expect("a method"), &message["params"]);
    let message = message.to_string();
    let mut connection = TcpStream::connect(server.address()).expect("it listens");
    let mut head = format!("POST /mcp HTTP/1.1\r\nHost: {}\r\n", server.address());
    head += &format!("Authorization: Bearer {}\r\n", server.token());
    head += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    head += &format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n");
    // What the request is about, for programs in between (SEP-2243, SEP-2663).
    let about = if method.starts_with("tasks/") { &params["taskId"] } else { &params["name"] };
    if let Some(about) = about.as_str().filter(|_| !method.starts_with("events/")) {
        head += &format!("Mcp-Name: {about}\r\n");
    }
    head += &format!("Connection: close\r\nContent-Length: {}\r\n\r\n{message}", message.len());
    connection.write_all(head.as_bytes()).expect("it takes the request");
    let answer = connection.try_clone().expect("it is cloned");
    std::thread::spawn(move || {
        for line in BufReader::new(answer).lines().map_while(Result::ok) {
            // A message is one line: the data of an event, or the whole body.
            let message = line.strip_prefix("data: ").unwrap_or(&line);
            if let Ok(message @ Value::Object(_)) = serde_json::from_str(message)
                && to.send(message).is_err()
            {
                break;
            }
        }
    });
    connection
}
