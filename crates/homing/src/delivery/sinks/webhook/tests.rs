//! The webhook sink against a scripted server on the loopback interface.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;

use homing_core::{Timestamp, WakeContent, WakeId};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use ureq::http::{HeaderMap, HeaderName};

use super::super::http::scripted_server::{Answer, Asked, ScriptedServer};
use super::*;

/// Long enough that no test reaches it.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn wake() -> Wake {
    Wake {
        id: WakeId::new(Timestamp::from_unix_millis(1_795_345_200_123), [7; 10]),
        session: "chat-1".parse().unwrap(),
        attempt: 1,
        created_at: Timestamp::from_unix_millis(1_795_345_200_123),
        content: WakeContent::new("caf\u{e9} is \"done\"\n".to_owned(), &[]),
    }
}

/// The document of a failed job, of usual length.
pub(super) fn job_json(number: u32) -> Value {
    json!({
        "schema": "homing.job/1", "id": format!("{number:012x}"), "session": "chat-1", "name": null,
        "command": "make test", "cwd": "/srv/app", "state": "finished",
        "outcome": {"kind": "exited", "exit_code": 1}, "succeeded": false, "pid": 4711,
        "created_at": "2026-11-22T10:59:00.000Z", "started_at": "2026-11-22T10:59:00.000Z",
        "ended_at": "2026-11-22T11:00:00.000Z", "duration_ms": 60_000, "timeout_ms": 3_600_000, "cpu_ms": 17,
        "peak_memory_bytes": 1_048_576, "leftovers": [],
        "output": {"total_bytes": 17, "omitted_bytes": 0, "dropped_bytes": 0},
        "follow_up": {"state": "pending", "attempts": 0},
    })
}

pub(super) fn sink_with(url: &str, secret_file: Option<PathBuf>, timeout: Duration) -> Result<WebhookSink> {
    WebhookSink::new(&WebhookConfig { url: url.to_owned(), secret_file }, timeout)
}

fn sink(server: &ScriptedServer) -> WebhookSink {
    sink_with(&server.url(), None, WAIT_TIMEOUT).unwrap()
}

/// The delivery that results from one answer of a server.
fn delivery_of(answer: Answer) -> Delivery {
    let server = ScriptedServer::start(vec![answer]);
    sink(&server).deliver(&wake())
}

pub(super) fn secret_file(folder: &tempfile::TempDir, text: &str, mode: u32) -> PathBuf {
    let path = folder.path().join("hook.secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// Whether a receiver that knows this secret accepts the request.
fn is_genuine(asked: &Asked, secret: &str) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in &asked.headers {
        headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(asked.body.as_bytes(), &headers).is_ok()
}

#[test]
fn the_request_follows_the_specification() {
    let server = ScriptedServer::start(vec![Answer::status(204, &[], b"")]);
    assert_eq!(sink(&server).deliver(&wake()), Delivery::Delivered);
    let asked = server.next_asked();
    assert_eq!(asked.line, "POST /wake HTTP/1.1");
    assert_eq!(asked.header("host"), server.address.to_string());
    assert_eq!(asked.header("content-type"), "application/json");
    assert_eq!(asked.header("user-agent"), format!("homing/{}", env!("CARGO_PKG_VERSION")));
    assert_eq!(asked.header("webhook-id"), wake().id.to_string());
    let sent_at: i64 = asked.header("webhook-timestamp").parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - sent_at).abs() <= WAIT_TIMEOUT.as_secs() as i64);
    assert_eq!(asked.header_values("webhook-signature"), Vec::<&str>::new());
    assert_eq!(asked.header_values("accept-encoding"), Vec::<&str>::new());
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["data"], serde_json::from_str::<Value>(&wake().to_json()).unwrap());
}

#[test]
fn the_host_may_be_a_name() {
    let server = ScriptedServer::start(vec![Answer::status(204, &[], b"")]);
    let url = format!("http://localhost:{}/wake", server.address.port());
    assert_eq!(sink_with(&url, None, WAIT_TIMEOUT).unwrap().deliver(&wake()), Delivery::Delivered);
}

#[test]
fn every_2xx_means_delivered() {
    for status in [200, 201, 202, 204] {
        assert_eq!(delivery_of(Answer::status(status, &[], b"")), Delivery::Delivered, "HTTP {status}");
    }
}

#[test]
fn a_busy_server_can_set_the_time_of_the_retry() {
    for status in [409, 425, 429, 503] {
        let busy = |retry_after: Option<u64>| Delivery::Busy {
            retry_after: retry_after.map(Duration::from_secs),
            reason: format!("HTTP {status}: in a turn"),
        };
        let answer = |headers: &[&str]| delivery_of(Answer::status(status, headers, b"in a turn\n"));
        assert_eq!(answer(&[]), busy(None));
        assert_eq!(answer(&["Retry-After: 120"]), busy(Some(120)));
        assert_eq!(answer(&["Retry-After: later"]), busy(None));
    }
}

#[test]
fn retry_after_may_be_a_date() {
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
    let delivery = delivery_of(Answer::status(503, &[&format!("Retry-After: {date}")], b""));
    let Delivery::Busy { retry_after: Some(retry_after), .. } = delivery else { panic!("{delivery:?}") };
    assert!((60..=90).contains(&retry_after.as_secs()), "{retry_after:?}");
}

#[test]
fn status_404_and_410_mean_gone() {
    for status in [404, 410] {
        let reason = format!("HTTP {status}: no such chat");
        assert_eq!(
            delivery_of(Answer::status(status, &[], b"no such chat")),
            Delivery::Gone { reason },
            "HTTP {status}"
        );
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let target = ScriptedServer::start(vec![Answer::status(200, &[], b"")]);
        let location = format!("Location: {}", target.url());
        assert_eq!(
            delivery_of(Answer::status(status, &[&location], b"")),
            Delivery::Failed { error: format!("HTTP {status}: redirects are not followed") }
        );
        assert_eq!(target.finish(), [], "HTTP {status}");
    }
}

#[test]
fn only_the_beginning_of_a_huge_answer_is_read_and_shown() {
    let mut body = b"\x1b[31mTraceback\x1b[0m:\n".to_vec();
    body.resize(8 * 1024 * 1024, b'x');
    assert_eq!(
        delivery_of(Answer::status(500, &[], &body)),
        Delivery::Failed { error: "HTTP 500: Traceback:".to_owned() }
    );
}

#[test]
fn a_slow_server_times_out() {
    let started = Instant::now();
    let ok = b"HTTP/1.1 500 No\r\ncontent-length: 10\r\n";
    for stalled in [&b""[..], ok] {
        let server = ScriptedServer::start(vec![Answer::Stall(stalled.to_vec())]);
        let sink = sink_with(&server.url(), None, Duration::from_millis(300)).unwrap();
        let error = format!("no answer from {} within 300ms", server.address);
        assert_eq!(sink.deliver(&wake()), Delivery::Failed { error });
    }
    assert!(started.elapsed() < WAIT_TIMEOUT, "{:?}", started.elapsed());
}

#[test]
fn a_status_counts_even_if_the_body_never_ends() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok".to_vec();
    let server = ScriptedServer::start(vec![Answer::Stall(head)]);
    let sink = sink_with(&server.url(), None, Duration::from_millis(300)).unwrap();
    assert_eq!(sink.deliver(&wake()), Delivery::Delivered);
}

#[test]
fn the_same_wake_is_sent_again_after_a_lost_answer() {
    let server = ScriptedServer::start(vec![Answer::HangUp, Answer::status(200, &[], b"")]);
    let folder = tempfile::tempdir().unwrap();
    let secret = format!("whsec_{}", "A".repeat(32));
    let sink = sink_with(&server.url(), Some(secret_file(&folder, &secret, 0o600)), WAIT_TIMEOUT).unwrap();
    let error = format!("{} closed the connection without an answer", server.address);
    assert_eq!(sink.deliver(&wake()), Delivery::Failed { error });
    assert_eq!(sink.deliver(&Wake { attempt: 2, ..wake() }), Delivery::Delivered);
    let (first, second) = (server.next_asked(), server.next_asked());
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body.replace("\"attempt\":1", "\"attempt\":2"), second.body);
    assert!(is_genuine(&first, &secret) && is_genuine(&second, &secret));
}

#[test]
fn a_receiver_may_know_the_old_or_the_new_secret() {
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = format!("whsec_{}", "z".repeat(64));
    let folder = tempfile::tempdir().unwrap();
    let path = secret_file(&folder, &format!("{old}\n{new}\n"), 0o600);
    let server = ScriptedServer::start(vec![Answer::status(200, &[], b"")]);
    let sink = sink_with(&server.url(), Some(path), WAIT_TIMEOUT).unwrap();
    assert_eq!(sink.deliver(&wake()), Delivery::Delivered);
    let asked = server.next_asked();
    assert!(is_genuine(&asked, old) && is_genuine(&asked, &new));
    assert!(!is_genuine(&asked, &format!("whsec_{}", "y".repeat(64))));
    let forged = Asked { body: asked.body.replace("done", "gone"), ..asked };
    assert!(!is_genuine(&forged, old) && !is_genuine(&forged, &new));
}

#[test]
fn a_refused_connection_is_a_clear_failure() {
    let address = ScriptedServer::start(vec![]).address;
    let deliver = |scheme: &str| {
        let url = format!("{scheme}://{address}/hooks/hunter2");
        sink_with(&url, None, WAIT_TIMEOUT).unwrap().deliver(&wake())
    };
    let error = format!("{address} refused the connection");
    assert_eq!(deliver("http"), Delivery::Failed { error: error.clone() });
    assert_eq!(deliver("https"), Delivery::Failed { error });
}

#[test]
fn a_failed_tls_handshake_is_a_clear_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let sink = sink_with(&format!("https://{address}/"), None, WAIT_TIMEOUT).unwrap();
    let delivery = sink.deliver(&wake());
    let error = delivery.reason().unwrap_or_default();
    assert!(error.starts_with(&format!("TLS connection to {address} failed: ")), "{delivery:?}");
    server.join().unwrap();
}

#[test]
fn an_answer_that_is_not_http_is_a_clear_failure() {
    let server = ScriptedServer::start(vec![Answer::Send(b"220 mail ESMTP\r\n\r\n".to_vec())]);
    let delivery = sink(&server).deliver(&wake());
    let expected = format!("{} did not answer with HTTP", server.address);
    assert!(delivery.reason().is_some_and(|error| error.starts_with(&expected)), "{delivery:?}");
}

#[test]
fn invalid_secrets_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (text, mode, reason) in [
        (format!("whsec_{}\n", "A".repeat(32)), 0o644, "mode 0644"),
        ("hunter2\n".to_owned(), 0o600, "line 1: a secret begins with whsec_"),
        (format!("whsec_{}\n", "A".repeat(28)), 0o600, "24 to 64 bytes"),
        (String::new(), 0o600, "no secret"),
    ] {
        let path = secret_file(&folder, &text, mode);
        let error = sink_with("http://127.0.0.1:1/", Some(path.clone()), WAIT_TIMEOUT).err().unwrap();
        assert_eq!(error.code(), "secret_refused");
        let error = error.to_string();
        assert!(error.contains(reason) && error.contains(path.to_str().unwrap()), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("AAAA"), "{error}");
    }
}

#[test]
fn an_invalid_url_is_refused_at_once() {
    for url in ["ftp://127.0.0.1/", "http://user:hunter2@127.0.0.1/", "127.0.0.1:7000"] {
        let error = sink_with(url, None, WAIT_TIMEOUT).err().unwrap().to_string();
        assert!(error.starts_with("webhook: ") && !error.contains("hunter2"), "{error}");
    }
}
