//! The output of jobs.

use serde_json::{Value, json};

use crate::client::Message;
use crate::server::{Server, Setup};

fn read(server: &Server, id: &str, query: &str) -> Value {
    server.get(&format!("/api/v1/jobs/{id}/output{query}")).expect(200)
}

#[test]
fn output_is_read_from_any_offset() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.finished("printf 'one two three'");
    let all = read(&server, &id, "");
    assert_eq!(
        all,
        json!({"from": 0, "next": 13, "total_bytes": 13, "omitted_bytes": 0, "dropped_bytes": 0, "text": "one two three", "base64": null, "finished": true})
    );
    let part = read(&server, &id, "?from=4&limit=3");
    assert_eq!((&part["from"], &part["next"], &part["text"]), (&json!(4), &json!(7), &json!("two")));
    let last = read(&server, &id, "?from=-5");
    assert_eq!((&last["from"], &last["next"], &last["text"]), (&json!(8), &json!(13), &json!("three")));
    let whole = read(&server, &id, "?from=-100");
    assert_eq!(whole["text"], "one two three");
    let behind = read(&server, &id, "?from=100");
    assert_eq!((&behind["from"], &behind["next"], &behind["text"]), (&json!(100), &json!(100), &json!("")));
    for query in ["?limit=0", "?limit=1048577", "?from=x", "?encoding=xml", "?x=1"] {
        assert_eq!(server.get(&format!("/api/v1/jobs/{id}/output{query}")).status, 400, "{query}");
    }
}

#[test]
fn bytes_are_text_or_exact() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.finished(r"printf '\033[31mgr\303\274n\033[0m\377'");
    assert_eq!(
        read(&server, &id, "")["text"],
        "\u{1b}[31mgrün\u{1b}[0m\u{fffd}",
        "escape sequences are kept"
    );
    // A character that the limit cuts is left for the next answer.
    let first = read(&server, &id, "?limit=8");
    assert_eq!((&first["text"], &first["next"]), (&json!("\u{1b}[31mgr"), &json!(7)));
    assert_eq!(read(&server, &id, "?from=7&limit=2")["text"], "ü");
    assert_eq!(read(&server, &id, "?from=7&limit=1")["next"], 8, "every answer makes progress");
    let exact = read(&server, &id, "?from=-1&encoding=base64");
    assert_eq!((&exact["text"], &exact["base64"]), (&Value::Null, &json!("/w==")));
    let raw = server.get(&format!("/api/v1/jobs/{id}/output?from=5&encoding=raw"));
    assert_eq!(raw.body, b"gr\xc3\xbcn\x1b[0m\xff");
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert_eq!((raw.header("x-homing-from"), raw.header("x-homing-next")), (Some("5"), Some("15")));
    assert_eq!(raw.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn bytes_that_were_not_kept_are_counted() {
    let setup = Setup::new();
    setup.configure("[defaults]\noutput_head_bytes = 4096\noutput_tail_bytes = 4096\n");
    let server = setup.serve();
    let id = server.finished("head -c 100000 /dev/zero | tr '\\0' x");
    let head = read(&server, &id, "");
    assert_eq!(
        (&head["next"], &head["total_bytes"], &head["omitted_bytes"]),
        (&json!(4_096), &json!(100_000), &json!(0))
    );
    let tail = read(&server, &id, "?from=4096");
    assert_eq!((&tail["from"], &tail["next"]), (&json!(4_096), &json!(100_000)));
    let kept = tail["text"].as_str().unwrap().len() as u64;
    assert_eq!(tail["omitted_bytes"], 100_000 - 4_096 - kept);
}

#[test]
fn output_is_followed_live_and_a_stream_is_resumed() {
    let setup = Setup::new();
    let server = setup.serve();
    let pipe = setup.home.scratch().join("pipe");
    let status = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs");
    assert!(status.success());
    let id = server.launch(&format!("printf 'a\\303'; cat '{}'", pipe.display()));
    let mut messages = server.stream(&format!("/api/v1/jobs/{id}/output/live"));
    let first = messages.next().expect("a message");
    assert_eq!(first.event, "output");
    let document = first.json();
    assert_eq!(
        (&document["text"], &document["next"]),
        (&json!("a"), &json!(1)),
        "an incomplete character waits"
    );
    assert!(document.get("finished").is_none() && first.id.is_none(), "{first:?}");
    std::fs::write(&pipe, b"\xbc\nend").expect("the job reads");
    let rest: Vec<Message> = messages.collect();
    let text: String = rest
        .iter()
        .filter(|message| message.event == "output")
        .map(|message| message.json()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(text, "ü\nend");
    let last = rest.last().unwrap();
    assert_eq!((last.event.as_str(), last.json()), ("end", json!({"finished": true, "next": 7})));

    let mut resumed = server.stream(&format!("/api/v1/jobs/{id}/output/live?from=4"));
    assert_eq!(resumed.next().unwrap().json()["text"], "end");
    assert_eq!(resumed.next().unwrap().event, "end");
    assert!(resumed.next().is_none());
    let mut none = server.stream(&format!("/api/v1/jobs/{id}/output/live?from=7"));
    assert_eq!(none.next().unwrap().json(), json!({"finished": true, "next": 7}));
}

#[test]
fn a_result_is_the_text_that_the_agent_reads_and_stays_undelivered() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.finished("echo hello; exit 3");
    let result = server.get(&format!("/api/v1/jobs/{id}/result"));
    assert_eq!(result.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = result.text();
    assert!(text.starts_with(&format!("Background job {id} failed")) && text.contains("hello"), "{text}");
    assert_eq!(setup.follow_up(&id), "pending");
}
