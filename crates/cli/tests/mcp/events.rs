//! The Events extension: what happened to the jobs of a session, by polling and on streams.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::wait_until;

use crate::client::{CONNECTIONS, Client, Revision, Traits, Transport};
use crate::raw::{HEARTBEAT, Raw, Stream, TRANSPORTS};
use crate::server::Setup;

const ACTIVE: &str = "notifications/events/active";
const EVENT: &str = "notifications/events/event";

/// Most open streams of a server, as docs/mcp.md says.
const MAX_STREAMS: usize = 128;

/// The cursor of a client that subscribes now.
#[track_caller]
fn now(client: &mut Raw) -> Value {
    let polled = client.result("events/poll", json!({"name": "job.finished"}));
    assert_eq!((&polled["events"], &polled["truncated"]), (&json!([]), &json!(false)), "{polled}");
    polled["cursor"].clone()
}

/// Polls until there is an event.
#[track_caller]
fn poll(client: &mut Raw, params: Value) -> Value {
    let mut polled = Value::Null;
    wait_until("there is an event", || {
        polled = client.result("events/poll", params.clone());
        polled["events"] != json!([])
    });
    polled
}

/// Opens a stream and waits until it is active. Returns the parameters of that message too.
#[track_caller]
fn open(client: &mut Raw, params: Value) -> (Stream, Value) {
    let stream = client.open("events/stream", params);
    let active = stream.notification(ACTIVE);
    (stream, active)
}

/// The inotify instances of a process.
fn watches(pid: u32) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let targets = descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("inotify")).count()
}

#[test]
fn event_types_match_their_golden_file() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let listed = client.result("events/list", json!({}));
        assert_eq!(listed["resultType"], "complete");
        insta::assert_json_snapshot!("events", listed["events"]);
        assert_eq!(client.error("events/list", json!({"cursor": "x"}))["code"], -32602);
        let mut all = Raw::connect_with(&setup, transport, "chat-1", &["--all-sessions"]);
        for event in all.result("events/list", json!({}))["events"].as_array().expect("a list") {
            assert!(event["inputSchema"]["properties"]["all_sessions"].is_object(), "{event}");
        }
        assert!(!setup.home.path().exists() || transport == Transport::Http, "a list needs no home");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_a_revision_with_events_can_see_and_use_them() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let info = client.service.peer_info().expect("it sent its info");
        let extensions = json!(info.capabilities.extensions);
        let settings = &extensions["io.modelcontextprotocol/events"];
        assert_eq!(settings.is_object(), connection.1 == Revision::With2026, "{connection:?}: {extensions}");
    }
    let requests = ["events/list", "events/poll", "events/stream", "subscriptions/listen"];
    for method in requests {
        let setup = Setup::new();
        let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
        let params = json!({"name": "job.finished", "notifications": {}});
        let request = rmcp::model::CustomRequest::new(method, Some(params));
        let answer = client.service.send_request(rmcp::model::ClientRequest::CustomRequest(request)).await;
        let Err(rmcp::ServiceError::McpError(error)) = answer else { panic!("{method}: {answer:?}") };
        assert_eq!(error.code.0, -32601, "{method}: {}", error.message);
    }
}

#[test]
fn a_client_cannot_name_an_address_for_webhooks() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        for method in ["events/subscribe", "events/unsubscribe"] {
            let delivery = json!({"url": "https://example.com/"});
            let error = client.error(method, json!({"name": "job.finished", "delivery": delivery}));
            assert_eq!(error["code"], -32601, "{error}");
        }
    }
}

#[test]
fn a_poll_returns_what_happened_since_its_cursor() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let before = now(&mut client);
        let id = client.launch("echo secret; exit 3");
        let polled = poll(&mut client, json!({"name": "job.finished", "cursor": before}));
        assert_eq!(polled["resultType"], "complete");
        assert_eq!((&polled["truncated"], &polled["hasMore"]), (&json!(false), &json!(false)));
        assert!(polled["nextPollMs"].as_u64().is_some_and(|pause| pause >= 1_000), "{polled}");
        let [event] = &polled["events"].as_array().expect("a list")[..] else { panic!("{polled}") };
        assert_eq!(event["name"], "job.finished");
        let ended = setup.job(&id).state.finished().expect("it has finished").ended_at;
        assert_eq!(event["timestamp"], json!(ended));
        let mut data = event["data"].clone();
        assert!(data["actor"].take()["kind"].is_string(), "{event}");
        let expected = json!({
            "job_id": id, "session": "chat-1", "name": null, "actor": null, "outcome": "exited",
            "exit_code": 3, "succeeded": false, "corrected": false,
        });
        assert_eq!(data, expected, "facts, without command and output");

        let again = client.result("events/poll", json!({"name": "job.finished", "cursor": before}));
        assert_eq!(again["events"], polled["events"], "the id of an event is stable");
        let next = client.result("events/poll", json!({"name": "job.finished", "cursor": polled["cursor"]}));
        assert_eq!((&next["events"], &next["truncated"]), (&json!([]), &json!(false)));
        assert_eq!(setup.follow_up(&id), "pending", "reading an event acknowledges nothing");
        let started = client.result("events/poll", json!({"name": "job.started", "cursor": before}));
        assert_eq!(started["events"][0]["data"]["job_id"], json!(id));

        client.result("tools/call", json!({"name": "wait_for_jobs", "arguments": {"job_ids": [id]}}));
        setup.wait_for_follow_up(&id, "acknowledged");
        let read = json!({"name": "follow_up.changed", "cursor": polled["cursor"]});
        let changed = poll(&mut client, read);
        let data = &changed["events"][0]["data"];
        assert_eq!((&data["from"], &data["to"]), (&json!("pending"), &json!("acknowledged")), "{changed}");
        assert_eq!(data["actor"]["session"], "chat-1", "it says who has read it: {changed}");
    }
}

#[test]
fn a_stream_sends_events_as_they_are_recorded_and_can_be_continued() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let (stream, active) = open(&mut client, json!({"name": "job.finished"}));
        assert_eq!(active["truncated"], false);
        // No monitor runs: the server itself finds out.
        let first = client.launch("true");
        let event = stream.notification(EVENT);
        assert_eq!((&event["data"]["job_id"], &event["name"]), (&json!(first), &json!("job.finished")));
        assert!(event["eventId"].is_string() && event["timestamp"].is_string(), "{event}");
        let second = client.launch("exit 1");
        assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(second));
        for id in [&first, &second] {
            assert_eq!(setup.follow_up(id), "pending", "reading an event acknowledges nothing");
        }
        client.cancel(&stream);
        setup.wait_for_end(&client.launch("true"));

        let params = json!({"name": "job.finished", "cursor": event["cursor"]});
        let (stream, active) = open(&mut client, params);
        assert_eq!((&active["cursor"], &active["truncated"]), (&event["cursor"], &json!(false)));
        let continued = stream.notification(EVENT);
        assert_eq!(continued["data"]["job_id"], json!(second), "nothing is repeated or left out");
        assert_ne!(stream.notification(EVENT)["data"]["job_id"], json!(second));
    }
}

#[test]
fn many_streams_receive_every_event_once() {
    const STREAMS: usize = 20;
    const JOBS: usize = 10;
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let (mut streams, mut launched) = (Vec::new(), Vec::new());
        let before = watches(client.pid());
        // Streams begin while events are recorded.
        let start = now(&mut client);
        for number in 0..STREAMS {
            let stream = client.open("events/stream", json!({"name": "job.finished", "cursor": start}));
            streams.push(stream);
            if number % (STREAMS / JOBS) == 0 {
                launched.push(client.launch("true"));
            }
        }
        launched.sort();
        for stream in &streams {
            stream.notification(ACTIVE);
            let events: Vec<Value> = launched.iter().map(|_| stream.notification(EVENT)).collect();
            let mut jobs: Vec<&str> =
                events.iter().filter_map(|event| event["data"]["job_id"].as_str()).collect();
            jobs.sort_unstable();
            assert_eq!(jobs, launched, "{transport:?}");
        }
        assert_eq!(watches(client.pid()), before + 1, "all streams share one watch");
        assert!(streams.iter().all(Stream::is_silent));
    }
}

#[test]
fn a_session_receives_only_events_of_its_own_jobs() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let before = now(&mut client);
        let (stream, _) = open(&mut client, json!({"name": "job.finished"}));
        client.switch_to("chat-2");
        let foreign = client.launch("true");
        setup.wait_for_end(&foreign);
        poll(&mut client, json!({"name": "job.finished", "cursor": before}));
        client.switch_to("chat-1");
        let own = client.launch("true");
        assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(own));
        let polled = client.result("events/poll", json!({"name": "job.finished", "cursor": before}));
        assert_eq!(polled["events"].as_array().map(Vec::len), Some(1), "{polled}");

        let unknown = |client: &mut Raw, id: &str| {
            let params = json!({"name": "job.finished", "arguments": {"job_ids": [id]}});
            let error = client.error("events/poll", params);
            assert_eq!(error["code"], -32602);
            error["message"].as_str().expect("text").replace(id, "ID")
        };
        assert_eq!(unknown(&mut client, &foreign), unknown(&mut client, "0123456789ab"));
        let all = json!({"name": "job.finished", "arguments": {"all_sessions": true}});
        assert_eq!(client.error("events/stream", all.clone())["code"], -32602);

        let mut operator = Raw::connect_with(&setup, transport, "chat-1", &["--all-sessions"]);
        let mut since = all;
        since["cursor"] = before;
        let polled = operator.result("events/poll", since);
        assert_eq!(polled["events"].as_array().map(Vec::len), Some(2), "{polled}");
    }
}

#[test]
fn a_subscription_can_name_jobs() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let before = now(&mut client);
        let gate = setup.home.scratch().join("gate");
        let wanted = client.launch(&format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display()));
        let params = json!({"name": "job.finished", "arguments": {"job_ids": [wanted]}});
        let (stream, _) = open(&mut client, params);
        setup.wait_for_end(&client.launch("true"));
        std::fs::write(&gate, "").expect("the gate opens");
        assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(wanted));
        // Its events can be read after the job was deleted.
        setup.homing().acknowledge(&[wanted.parse().expect("an id")]).expect("it is acknowledged");
        setup.homing().remove(&[wanted.parse().expect("an id")]).expect("it is removed");
        let params = json!({"name": "job.finished", "arguments": {"job_ids": [wanted]}, "cursor": before});
        let polled = client.result("events/poll", params);
        assert_eq!(polled["events"][0]["data"]["job_id"], json!(wanted), "{polled}");
        assert_eq!(polled["events"].as_array().map(Vec::len), Some(1), "{polled}");
    }
}

#[test]
fn a_backlog_is_read_in_parts() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Http, "chat-1");
    let before = now(&mut client);
    let mut launched: Vec<String> = (0..7).map(|_| client.launch("true")).collect();
    launched.iter().for_each(|id| setup.wait_for_end(id));
    let (mut cursor, mut seen, mut parts) = (before.clone(), Vec::new(), 0);
    loop {
        let params = json!({"name": "job.finished", "cursor": cursor, "maxEvents": 2});
        let polled = client.result("events/poll", params);
        let events = polled["events"].as_array().expect("a list");
        assert!(events.len() <= 2, "{polled}");
        seen.extend(events.iter().map(|event| event["data"]["job_id"].as_str().expect("an id").to_owned()));
        parts += 1;
        cursor = polled["cursor"].clone();
        if polled["hasMore"] == false {
            break;
        }
    }
    launched.sort();
    seen.sort();
    assert_eq!(seen, launched);
    assert!(parts >= 4, "{parts}");

    let old = json!({"name": "job.finished", "cursor": before, "maxAgeMs": 0});
    let polled = client.result("events/poll", old.clone());
    assert_eq!((&polled["events"], &polled["truncated"]), (&json!([]), &json!(true)), "all are too old");
    let (stream, active) = open(&mut client, old);
    assert_eq!(active["truncated"], true);
    let next = client.launch("true");
    assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(next));
    let recent = json!({"name": "job.finished", "cursor": before, "maxAgeMs": 3_600_000});
    let polled = client.result("events/poll", recent);
    assert_eq!((polled["events"].as_array().map(Vec::len), &polled["truncated"]), (Some(8), &json!(false)));
}

#[test]
fn an_unknown_cursor_is_a_gap_and_not_an_error() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let id = client.launch("true");
        setup.wait_for_end(&id);
        let known = now(&mut client);
        for cursor in ["of another program", "00000000.1"] {
            let params = json!({"name": "job.finished", "cursor": cursor});
            let polled = client.result("events/poll", params.clone());
            assert_eq!(polled["truncated"], true, "{cursor}");
            assert_eq!(polled["events"][0]["data"]["job_id"], json!(id), "it begins with what is kept");
            assert_eq!(polled["cursor"], known);
            let (stream, active) = open(&mut client, params);
            assert_eq!(active["truncated"], true, "{cursor}");
            assert_ne!(active["cursor"], json!(cursor), "the client gets a place that exists");
            assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(id));
            client.cancel(&stream);
        }
    }
}

#[test]
fn invalid_subscriptions_are_refused_with_their_reason() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1");
    for method in ["events/poll", "events/stream"] {
        let error = client.error(method, json!({"name": "job.exploded"}));
        assert_eq!((&error["code"], &error["data"]), (&json!(-32023), &json!({"kind": "event"})));
        assert!(error["message"].as_str().is_some_and(|text| text.contains("job.finished")), "{error}");
        let too_many: Vec<String> = (0..21).map(|number| format!("{number:012}")).collect();
        for (params, named) in [
            (json!({}), "name"),
            (json!({"name": "job.finished", "arguments": {"jobs": []}}), "jobs"),
            (json!({"name": "job.finished", "arguments": {"job_ids": []}}), "job_ids"),
            (json!({"name": "job.finished", "arguments": {"job_ids": ["abcd"]}}), "abcd"),
            (json!({"name": "job.finished", "arguments": {"job_ids": "3f9c0a1b2c4d"}}), "job_ids"),
            (json!({"name": "job.finished", "arguments": {"job_ids": too_many}}), "1 to 20"),
            (json!({"name": "job.finished", "maxEvents": 0}), "maxEvents"),
            (json!({"name": "job.finished", "maxAgeMs": -1}), "maxAgeMs"),
            (json!({"name": "job.finished", "cursor": 7}), "cursor"),
        ] {
            let error = client.error(method, params);
            let message = error["message"].as_str().expect("text");
            assert!(error["code"] == -32602 && message.contains(named), "{error}");
        }
    }
}

#[test]
fn a_stream_ends_with_its_client() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1");
    let (stream, _) = open(&mut client, json!({"name": "job.finished"}));
    let began = Instant::now();
    assert_eq!(client.close(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "the server waits for the stream");
    let last = stream.next();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(stream.id), &json!("complete")));

    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let before = watches(client.pid());
        let (stream, _) = open(&mut client, json!({"name": "job.finished"}));
        assert_eq!(watches(client.pid()), before + 1);
        client.cancel(&stream);
        wait_until("the server stops watching", || watches(client.pid()) == before);
        // The server goes on.
        let (stream, _) = open(&mut client, json!({"name": "job.finished"}));
        let id = client.launch("true");
        assert_eq!(stream.notification(EVENT)["data"]["job_id"], json!(id));
    }
}

#[test]
fn more_streams_than_the_limit_are_refused() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1");
    let params = json!({"name": "job.finished"});
    let streams: Vec<Stream> = (0..MAX_STREAMS).map(|_| open(&mut client, params.clone()).0).collect();
    for method in ["events/stream", "subscriptions/listen"] {
        let error = client.error(method, json!({"name": "job.finished", "notifications": {}}));
        let expected = json!({"limit": "streams", "max": MAX_STREAMS});
        assert_eq!((&error["code"], &error["data"]), (&json!(-32025), &expected), "{error}");
    }
    assert_eq!(client.result("events/poll", params.clone())["events"], json!([]), "others are answered");
    client.cancel(&streams[0]);
    wait_until("there is room again", || {
        let stream = client.open("events/stream", params.clone());
        stream.next()["method"] == ACTIVE
    });
}

#[test]
fn a_silent_stream_has_a_heartbeat_and_the_server_sleeps_until_then() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1");
    let id = client.launch(&setup.marked("exec sleep MARK"));
    let (stream, active) = open(&mut client, json!({"name": "job.finished"}));
    client.switch_to("chat-2");
    let other = client.launch("true");
    wait_until("the other job has finished", || {
        let params = json!({"name": "job.finished", "cursor": active["cursor"]});
        client.result("events/poll", params)["events"] != json!([])
    });
    assert!(setup.job(&other).outcome().is_some());
    let before = wakeups(client.pid());
    let heartbeat = stream.notification(HEARTBEAT);
    let after = wakeups(client.pid());
    // Writing the heartbeat itself takes a few.
    assert!(after - before <= 10, "{} wake-ups of a silent server", after - before);
    assert_ne!(heartbeat["cursor"], active["cursor"], "it passes events of other sessions");
    client.switch_to("chat-1");
    let params = json!({"name": "job.finished", "cursor": heartbeat["cursor"]});
    assert_eq!(client.result("events/poll", params)["events"], json!([]));
    assert!(setup.job(&id).outcome().is_none());
    setup.kill_all_jobs();
}

/// How often the threads of a process have waited for something.
fn wakeups(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let statuses =
        threads.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
    let count = |status: String| {
        let line =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().to_owned();
        line.parse::<u64>().ok()
    };
    statuses.filter_map(count).sum()
}
