//! Access over HTTP.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::client::{Client, Revision, Traits};
use crate::server::{HttpServer, Setup};

const QUESTION: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}"#;

/// Sends a request with these headers. Returns the status and the whole response.
fn ask(server: &HttpServer, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let mut request = format!("POST {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    request += &format!("Connection: close\r\nContent-Length: {}\r\n\r\n{QUESTION}", QUESTION.len());
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

#[test]
fn only_requests_with_the_token_are_accepted() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let address = server.address();
    let right = format!("Bearer {}", server.token());
    let with = |value: &str| ask(&server, "/mcp", &[("Host", &address), ("Authorization", value)]);
    let (status, answer) = with(&right);
    assert!(status == 200 && answer.contains("\"name\":\"homing\""), "{answer}");
    assert_eq!(with(&right.replace("Bearer", "bearer")).0, 200);

    let mut altered = right.clone();
    altered.pop();
    for wrong in ["Bearer ", "Bearer x", "Basic eDp4", "x", altered.as_str(), &format!("{right}0")] {
        let (status, answer) = with(wrong);
        assert_eq!(status, 401, "{wrong:?}");
        assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
        assert!(!answer.contains(&server.token()), "the token is never printed");
    }
    let (status, answer) = ask(&server, "/mcp", &[("Host", &address)]);
    assert!(status == 401 && answer.contains("Authorization: Bearer TOKEN"), "{answer}");
    let twice = [("Host", address.as_str()), ("Authorization", "Bearer x"), ("Authorization", &right)];
    assert_eq!(ask(&server, "/mcp", &twice).0, 401);
    assert_eq!(ask(&server, "/", &[("Host", &address), ("Authorization", &right)]).0, 404);
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let setup = Setup::new();
    let server =
        setup.serve_http(&["--allow-host", "homing.example", "--allow-origin", "https://app.example:443"]);
    let (address, right) = (server.address(), format!("Bearer {}", server.token()));
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let with = |host: &str, origin: Option<&str>| {
        let mut headers = vec![("Host", host), ("Authorization", right.as_str())];
        headers.extend(origin.map(|origin| ("Origin", origin)));
        ask(&server, "/mcp", &headers).0
    };
    assert_eq!(with(&address, None), 200);
    assert_eq!(with(&format!("localhost:{port}"), Some(&format!("http://localhost:{port}"))), 200);
    assert_eq!(with("homing.example", Some("https://app.example")), 200);
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example"] {
        assert_eq!(with(host, None), 403, "{host}");
    }
    for origin in ["http://evil.example", "https://app.example:444", "http://app.example", "null", "file://"]
    {
        assert_eq!(with(&address, Some(origin)), 403, "{origin}");
    }
}

#[test]
fn the_token_is_created_once_and_readable_by_the_user_only() {
    let setup = Setup::new();
    let first = setup.serve_http(&[]);
    let token = first.token();
    let path = setup.home.path().join("mcp.token");
    let mode = |path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), token.len()), (0o600, 64));
    drop(first);
    assert_eq!(setup.serve_http(&[]).token(), token, "the token stays valid after a restart");
    let left: Vec<_> = std::fs::read_dir(setup.home.path()).expect("a directory").flatten().collect();
    assert!(
        left.iter().all(|file| !file.file_name().to_string_lossy().starts_with("mcp.token.")),
        "{left:?}"
    );

    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("changed");
    let refused = setup.command(&["--http", "0"]).output().expect("it ends");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("other users can read") && stderr.contains("chmod 600") && !stderr.contains(&token),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_environment_is_used_and_does_not_reach_jobs() {
    let setup = Setup::new();
    let token = "0123456789abcdef0123456789abcdef";
    let mut command = setup.command(&["--http", "0"]);
    command.env("HOMING_MCP_TOKEN", token);
    let server = setup.start_http(command);
    assert!(!setup.home.path().exists(), "it needs no home yet");
    let right = format!("Bearer {token}");
    assert_eq!(ask(&server, "/mcp", &[("Host", &server.address()), ("Authorization", &right)]).0, 200);
    setup.homing();
    std::fs::write(setup.home.path().join("mcp.token"), token)
        .expect("the client of the tests reads it there");
    let client = Client::over_http(&server, Revision::With2026, Traits::default()).await;
    let reply = client.call("run_command", serde_json::json!({"command": "env"})).await;
    assert!(reply.text().contains("HOMING_JOB=") && !reply.text().contains(token), "{}", reply.text());

    let mut command = setup.command(&["--http", "0"]);
    let refused = command.env("HOMING_MCP_TOKEN", "short").output().expect("it ends");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("at least 32") && stderr.contains("openssl rand"), "{stderr}");
}

#[test]
fn the_server_listens_on_loopback_by_default() {
    let setup = Setup::new();
    assert!(setup.serve_http(&[]).address().starts_with("127.0.0.1:"));
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = occupied.local_addr().expect("it has one").to_string();
    let refused = setup.command(&["--http", &address]).output().expect("it ends");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && stderr.contains("cannot listen on"), "{stderr}");
}

#[test]
fn repeated_host_or_origin_headers_are_refused() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let (address, right) = (server.address(), format!("Bearer {}", server.token()));
    let own = format!("http://{address}");
    for twice in [("Host", address.as_str()), ("Host", "evil.example"), ("Origin", own.as_str())] {
        let mut headers =
            vec![("Host", address.as_str()), ("Authorization", right.as_str()), ("Origin", &own)];
        assert_eq!(ask(&server, "/mcp", &headers).0, 200);
        headers.push(twice);
        assert_eq!(ask(&server, "/mcp", &headers).0, 400, "{twice:?}");
        headers.rotate_right(1);
        assert_eq!(ask(&server, "/mcp", &headers).0, 400, "{twice:?}");
    }
}

#[test]
fn after_a_refusal_the_connection_is_closed() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let head = format!("GET /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer x\r\n\r\n", server.address());
    stream.write_all(head.as_bytes()).expect("it takes the request");
    stream.set_read_timeout(Some(testkit::WAIT_TIMEOUT)).expect("it is set");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is closed, and not kept open");
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}

#[test]
fn half_sent_heads_do_not_block_other_clients() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let (address, right) = (server.address(), format!("Bearer {}", server.token()));
    let half: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            // An evicted connection may already be closed.
            let _ = stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: ");
            stream
        })
        .collect();
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(&server, "/mcp", &[("Host", &address), ("Authorization", &right)]).0, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(half);
}

#[test]
fn an_incomplete_head_or_body_times_out() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let (address, token) = (server.address(), server.token());
    let whole_head = format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
    let waiting = [whole_head.clone(), format!("{whole_head}Content-Length: 1000\r\n\r\n{{")].map(|sent| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(sent.as_bytes()).expect("it takes it");
        stream.set_read_timeout(Some(testkit::WAIT_TIMEOUT)).expect("it is set");
        stream
    });
    let began = Instant::now();
    let answers = waiting.map(|mut stream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is closed");
        answer
    });
    assert!(answers[1].starts_with("HTTP/1.1 408"), "{answers:?}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}
