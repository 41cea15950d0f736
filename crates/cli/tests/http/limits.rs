//! Limits, each of which says so.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Connection, Request};
use crate::server::{Server, Setup};

#[test]
fn bodies_have_a_type_and_a_size() {
    let setup = Setup::new();
    let server = setup.serve();
    let body = json!({"command": "true"}).to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request =
            Request::new("POST", "/api/v1/jobs").header("Content-Type", content_type).body(body.clone());
        assert_eq!(server.send(request).problem(415), "not_json", "{content_type}");
    }
    let request =
        Request::new("POST", "/api/v1/jobs").header("Content-Type", "application/json; charset=utf-8");
    let id = server.send(request.body(body)).expect(201)["id"].as_str().unwrap().to_owned();
    server.wait(&id);
    let large = json!({"command": "x".repeat(1 << 20)});
    let refused = server.post("/api/v1/jobs", &large);
    assert_eq!(refused.problem(413), "body_too_large");
    assert!(refused.text().contains("1048576"), "{}", refused.text());
}

#[test]
fn streams_are_limited() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut streams: Vec<_> = (0..256).map(|_| server.stream("/api/v1/events")).collect();
    let refused = server.get("/api/v1/events");
    assert_eq!(refused.problem(503), "too_many_streams");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/api/v1/jobs").status, 200, "other requests are answered");
    streams.pop();
    testkit::wait_until("a place is free", || server.get("/api/v1/events/poll?wait_ms=1").status == 200);
}

#[test]
fn connections_are_limited_and_those_without_a_token_do_not_block_others() {
    let setup = Setup::new();
    let server = setup.serve();
    let half: Vec<Connection> = (0..600)
        .map(|_| {
            let mut connection = Connection::to(&server.address());
            // An evicted connection may already be closed.
            let _ = connection.write_all(b"GET /api/v1/jobs HTTP/1.1\r\nHost: ");
            connection
        })
        .collect();
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(server.get("/api/v1/jobs").status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(half);
}

#[test]
fn heads_are_limited() {
    let setup = Setup::new();
    let server = setup.serve();
    let many = (0..200)
        .fold(Request::new("GET", "/healthz"), |request, index| request.header(&format!("X-{index}"), "x"));
    assert_eq!(many.send(&server.address()).status, 431);
    let large = Request::new("GET", "/healthz").header("X-Large", &"x".repeat(130 << 10));
    assert_eq!(large.send(&server.address()).status, 431);
    assert_eq!(Request::new("GET", "/healthz").send(&server.address()).status, 200);
}

/// Sends the head of a launch, and of its body of this length the first byte.
fn begin_body(server: &Server, length: u32) -> Connection {
    let mut connection = Connection::to(&server.address());
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{",
        server.host(),
        server.token
    );
    connection.write_all(head.as_bytes()).expect("it takes it");
    connection
}

#[test]
fn a_body_that_says_it_is_too_large_is_not_awaited() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut connection = begin_body(&server, 20_000_000);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it is closed");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[test]
fn an_incomplete_body_times_out() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut connection = begin_body(&server, 100);
    let began = Instant::now();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it is closed");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[test]
fn other_methods_and_routes_are_refused() {
    let setup = Setup::new();
    let server = setup.serve();
    for path in ["/api/v1/nothing", "/api/v2/jobs", "/api/v1", "/api/v1/jobs/", "/favicon.ico"] {
        assert_eq!(server.get(path).problem(404), "no_such_route", "{path}");
    }
    for (method, path) in
        [("PUT", "/api/v1/jobs"), ("DELETE", "/api/v1/jobs/000000000000"), ("POST", "/api/v1/server")]
    {
        let answer = server.send(Request::new(method, path));
        assert_eq!(answer.problem(405), "method_not_allowed", "{method} {path}");
        assert!(answer.header("allow").is_some(), "{answer:?}");
    }
    let head = server.send(Request::new("HEAD", "/api/v1/server"));
    assert_eq!((head.status, head.body.len()), (200, 0));
}
