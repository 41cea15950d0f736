//! Events: a stream that can be resumed, and polls.

use serde_json::{Value, json};

use crate::client::{Message, Messages, Request};
use crate::server::{Server, Setup};

/// The messages until this one.
fn until(messages: &mut Messages, is_last: impl Fn(&Message) -> bool) -> Vec<Message> {
    let mut all = Vec::new();
    for message in messages.by_ref() {
        let is_end = is_last(&message);
        all.push(message);
        if is_end {
            return all;
        }
    }
    panic!("the stream ended: {all:?}");
}

fn is_type(message: &Message, name: &str) -> bool {
    message.event == "homing" && message.json()["type"] == name
}

fn types(messages: &[Message]) -> Vec<String> {
    let events = messages.iter().filter(|message| message.event == "homing");
    events.map(|message| message.json()["type"].as_str().expect("a type").to_owned()).collect()
}

fn poll(server: &Server, query: &str) -> Value {
    server.get(&format!("/api/v1/events/poll{query}")).expect(200)
}

#[test]
fn a_stream_reports_what_happens_and_is_resumed_without_gap_or_repetition() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut stream = server.stream("/api/v1/events");
    let caught_up = stream.next().expect("a message");
    assert_eq!(caught_up.event, "caught_up");
    let cursor = caught_up.json()["cursor"].as_str().unwrap().to_owned();
    assert_eq!(caught_up.id.as_deref(), Some(cursor.as_str()));
    let gate = setup.home.scratch().join("gate");
    let id = server.launch(&format!("until [ -e '{}' ]; do sleep 0.01; done; exit 3", gate.display()));
    // In several pages, which the server keeps for other clients.
    let mut seen = until(&mut stream, |message| is_type(message, "job.started"));
    std::fs::write(&gate, "").expect("the gate opens");
    seen.extend(until(&mut stream, |message| is_type(message, "follow_up.pending")));
    let finished = seen.iter().find(|message| is_type(message, "job.finished")).expect("the end");
    let event = finished.json();
    assert_eq!((&event["schema"], &event["job"]), (&json!("homing.event/1"), &json!(id)));
    assert_eq!(event["outcome"], json!({"kind": "exited", "exit_code": 3}));
    assert_eq!(finished.id.as_deref(), event["cursor"].as_str());
    assert!(event.get("document").is_none());
    drop(stream);

    // Each event can be the last one that a client has received.
    for (position, message) in seen.iter().enumerate() {
        let last = message.id.as_deref().expect("each has an id");
        let resumed =
            Request::new("GET", "/api/v1/events").header("Last-Event-ID", last).token(&server.token);
        let mut resumed = resumed.open(&server.address()).messages();
        let rest = until(&mut resumed, |message| message.event == "caught_up");
        assert_eq!(rest[..rest.len() - 1], seen[position + 1..], "after {last}");
    }
    let mut all = server.stream(&format!("/api/v1/events?since={cursor}"));
    let all = until(&mut all, |message| message.event == "caught_up");
    assert_eq!(types(&all), types(&seen));
    for query in ["?since=x", "?documents=maybe", "?x=1"] {
        assert_eq!(server.get(&format!("/api/v1/events{query}")).status, 400, "{query}");
    }
}

#[test]
fn events_have_the_documents_of_their_jobs_if_asked_for() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut stream = server.stream("/api/v1/events?documents=true");
    let id = server.launch("true");
    let seen = until(&mut stream, |message| is_type(message, "job.finished"));
    let document = &seen.last().unwrap().json()["document"];
    assert_eq!((&document["id"], &document["state"]), (&json!(id), &json!("finished")));
}

#[test]
fn a_session_sees_only_its_events() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("session:chat-1");
    let start = poll(&server, "")["next"].as_str().unwrap().to_owned();
    let other = server.finished("true");
    let own = server.launch_with(json!({"command": "true", "session": "chat-1"}));
    server.wait(&own);
    let request = Request::new("GET", &format!("/api/v1/events?since={start}")).token(&token);
    let mut stream = request.open(&server.address()).messages();
    let seen = until(&mut stream, |message| is_type(message, "job.finished"));
    for message in seen.iter().filter(|message| message.event == "homing") {
        assert_eq!(message.json()["job"], own.as_str());
    }
    let all = poll(&server, &format!("?since={start}&limit=500")).to_string();
    assert!(all.contains(&other) && all.contains(&own), "{all}");
    let filtered = poll(&server, &format!("?since={start}&session=chat-1")).to_string();
    assert!(!filtered.contains(&other) && filtered.contains(&own), "{filtered}");
}

#[test]
fn a_poll_waits_for_an_event() {
    let setup = Setup::new();
    let server = setup.serve();
    let start = poll(&server, "")["next"].as_str().unwrap().to_owned();
    assert_eq!(poll(&server, &format!("?since={start}&wait_ms=100"))["events"], json!([]));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&server, &format!("?since={start}&wait_ms=60000")));
        let id = server.launch("true");
        let page = waiting.join().expect("it waits");
        assert_eq!((&page["events"][0]["type"], &page["events"][0]["job"]), (&json!("job.seen"), &json!(id)));
        assert_eq!(page["truncated"], false);
        server.wait(&id);
    });
    let first = poll(&server, &format!("?since={start}&limit=1"));
    assert_eq!((first["events"].as_array().unwrap().len(), &first["has_more"]), (1, &json!(true)));
    for query in ["?limit=0", "?limit=501", "?wait_ms=300001", "?since=x"] {
        assert_eq!(server.get(&format!("/api/v1/events/poll{query}")).status, 400, "{query}");
    }
}

#[test]
fn a_cursor_of_another_ledger_is_announced() {
    let setup = Setup::new();
    let server = setup.serve();
    server.finished("true");
    let mut stream = server.stream("/api/v1/events?since=00000000.1");
    let seen = until(&mut stream, |message| message.event == "caught_up");
    assert_eq!(seen[0].event, "truncated");
    assert!(seen[0].id.is_none() && seen[0].json()["cursor"].is_string(), "{seen:?}");
    assert!(types(&seen).contains(&"job.finished".to_owned()), "the events that are kept follow");
    assert_eq!(poll(&server, "?since=00000000.1")["truncated"], true);
}

#[test]
fn a_stream_goes_on_after_the_server_was_killed() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut stream = server.stream("/api/v1/events");
    let id = server.launch("true");
    let seen = until(&mut stream, |message| is_type(message, "job.seen"));
    let last = seen.last().unwrap().id.clone().unwrap();
    server.kill();
    assert!(stream.all(|message| message.event != "truncated"), "it ends");
    setup.wait_for_end(&id);
    let server = setup.serve();
    let request = Request::new("GET", "/api/v1/events").header("Last-Event-ID", &last).token(&server.token);
    let mut stream = request.open(&server.address()).messages();
    let rest = until(&mut stream, |message| is_type(message, "job.finished"));
    assert!(!types(&rest).contains(&"job.seen".to_owned()), "{rest:?}");
}

#[test]
fn many_clients_share_one_watch() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut streams: Vec<Messages> = (0..200).map(|_| server.stream("/api/v1/events")).collect();
    for stream in &mut streams {
        assert_eq!(stream.next().expect("a message").event, "caught_up");
    }
    let id = server.launch("true");
    for stream in &mut streams {
        let seen = until(stream, |message| is_type(message, "job.finished"));
        assert_eq!(seen.last().unwrap().json()["job"], id.as_str());
    }
}

#[test]
fn the_growth_of_outputs_is_reported_for_watched_jobs() {
    let setup = Setup::new();
    let server = setup.serve();
    let pipe = setup.home.scratch().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let id = server.launch(&format!("printf one; cat '{}'", pipe.display()));
    testkit::wait_until("it has written", || {
        setup.homing().output_end(id.parse().unwrap()).is_ok_and(|end| end == 3)
    });
    let mut stream = server.stream(&format!("/api/v1/events?watch={id},000000000000"));
    let first = until(&mut stream, |message| message.event == "output");
    let first = first.last().unwrap();
    assert!(first.id.is_none(), "{first:?}");
    assert_eq!((&first.json()["job"], &first.json()["total_bytes"]), (&json!(id), &json!(3)));
    assert!(first.json()["last_output_at"].is_string(), "{first:?}");
    std::fs::write(&pipe, "more").expect("the job reads");
    let grown = until(&mut stream, |message| message.event == "output");
    assert_eq!(grown.last().unwrap().json()["total_bytes"], 7);
    let many = vec!["000000000000"; 101].join(",");
    assert_eq!(server.get(&format!("/api/v1/events?watch={many}")).problem(400), "invalid_request");
    let token = setup.token("session:other");
    let hidden = Request::new("GET", &format!("/api/v1/events?watch={id}")).token(&token);
    assert_eq!(hidden.open(&server.address()).messages().next().expect("a message").event, "caught_up");
}

#[test]
fn a_stream_continues_in_the_home_that_replaces_the_one_it_followed() {
    let setup = Setup::new();
    let server = setup.serve();
    server.finished("true");
    let mut stream = server.stream("/api/v1/events");
    let cursor = stream.next().expect("a message").id.expect("a cursor");
    std::fs::rename(setup.home.path(), setup.home.scratch().join("moved")).expect("it is moved");
    let id = setup.printed(&["run", "true"]).trim().to_owned();
    let mut seen = Vec::new();
    while !seen.iter().any(|message| is_type(message, "follow_up.pending")) {
        match stream.next() {
            Some(message) => seen.push(message),
            // The stream ends if it reads while the homes change places. Clients then connect again.
            None => stream = server.stream(&format!("/api/v1/events?since={cursor}")),
        }
    }
    assert_eq!(seen[0].event, "truncated", "events are missing: {seen:?}");
    let jobs = seen.iter().filter(|message| message.event == "homing").map(Message::json);
    assert!(jobs.into_iter().all(|event| event["job"] == json!(id)), "{seen:?}");
}
