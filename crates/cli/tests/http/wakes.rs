//! Wakes: hosts that claim and deliver them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::server::{Server, Setup};

fn claim(server: &Server, request: Value) -> Answer {
    server.post("/api/v1/wakes/claim", &request)
}

/// Answers a claimed wake.
fn answer(server: &Server, wake: &Value, verb: &str, mut body: Value) -> Answer {
    body["lease"] = wake["lease"]["id"].clone();
    server.post(&format!("/api/v1/wakes/{}/{verb}", wake["id"].as_str().expect("an id")), &body)
}

#[test]
fn a_host_claims_a_wake_and_acknowledges_it() {
    let setup = Setup::new();
    let server = setup.serve();
    let request = || json!({"session": "default"});
    assert_eq!(claim(&server, request()).status, 204);
    let id = server.finished("echo hello");
    let wake = claim(&server, request()).expect(200);
    assert_eq!((&wake["schema"], &wake["attempt"]), (&json!("homing.wake/1"), &json!(1)));
    assert_eq!((&wake["jobs"][0]["id"], &wake["lease"]["holder"]), (&json!(id), &json!("server")));
    assert!(wake["text"].as_str().unwrap().contains("hello"), "{wake}");
    assert_eq!(claim(&server, request()).status, 204, "it is held for the first host");
    let listed = server.get("/api/v1/wakes").expect(200);
    assert_eq!(
        (&listed["wakes"][0]["id"], &listed["wakes"][0]["lease"]["id"]),
        (&wake["id"], &wake["lease"]["id"])
    );
    assert_eq!(answer(&server, &wake, "acknowledge", json!({})).status, 204);
    assert_eq!(answer(&server, &wake, "acknowledge", json!({})).status, 204, "it may be repeated");
    assert_eq!(setup.follow_up(&id), "acknowledged");
    let wakes = server.get(&format!("/api/v1/jobs/{id}/wakes")).expect(200);
    assert_eq!((&wakes["wakes"][0]["id"], &wakes["wakes"][0]["state"]), (&wake["id"], &json!("delivered")));
}

#[test]
fn a_claim_waits_for_a_job() {
    let setup = Setup::new();
    let server = setup.serve();
    std::thread::scope(|scope| {
        let waiting = scope
            .spawn(|| claim(&server, json!({"session": "default", "wait_ms": 60_000, "holder": "host-1"})));
        let id = server.launch("echo late");
        let wake = waiting.join().expect("it waits").expect(200);
        assert_eq!((&wake["jobs"][0]["id"], &wake["lease"]["holder"]), (&json!(id), &json!("host-1")));
        assert_eq!(answer(&server, &wake, "acknowledge", json!({})).status, 204);
    });
    let began = Instant::now();
    assert_eq!(claim(&server, json!({"session": "default", "wait_ms": 200})).status, 204);
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[test]
fn busy_and_failed_attempts_come_again() {
    let setup = Setup::new();
    setup.configure("[monitor]\nretries = [\"0s\", \"0s\"]\nbusy_retry = \"1ms\"\n");
    let server = setup.serve();
    let id = server.finished("true");
    let again = || claim(&server, json!({"session": "default", "wait_ms": 60_000})).expect(200);
    let wake = again();
    let busy = answer(&server, &wake, "busy", json!({"retry_after_ms": 1, "reason": "a turn runs"}));
    assert_eq!(busy.status, 204);
    let second = again();
    assert_eq!((&second["id"], &second["attempt"]), (&wake["id"], &json!(1)), "busy uses up no attempt");
    assert_eq!(answer(&server, &wake, "acknowledge", json!({})).problem(409), "lease_lost", "an old lease");
    assert_eq!(answer(&server, &second, "failed", json!({"error": "no such chat"})).status, 204);
    let third = again();
    assert_eq!((&third["id"], &third["attempt"]), (&wake["id"], &json!(2)));
    let wakes = server.get(&format!("/api/v1/jobs/{id}/wakes")).expect(200);
    let errors = wakes["wakes"][0].to_string();
    assert!(errors.contains("no such chat"), "{errors}");
    assert_eq!(answer(&server, &third, "acknowledge", json!({})).status, 204);
}

#[test]
fn claims_that_make_no_sense_are_refused() {
    let setup = Setup::new();
    let server = setup.serve();
    for request in [
        json!({}),
        json!({"session": ""}),
        json!({"session": "default", "wait_ms": 300_001}),
        json!({"session": "default", "lease_ms": 999}),
        json!({"session": "default", "lease_ms": 3_600_001}),
        json!({"session": "default", "holder": ""}),
        json!({"session": "default", "x": 1}),
    ] {
        assert_eq!(claim(&server, request.clone()).status, 400, "{request}");
    }
    let unknown = "w_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for verb in ["acknowledge", "busy", "failed"] {
        let body = json!({"lease": "l_01ARZ3NDEKTSV4RRFFQ69G5FAV", "error": "x"});
        let body = if verb == "failed" { body } else { json!({"lease": body["lease"]}) };
        assert_eq!(
            server.post(&format!("/api/v1/wakes/{unknown}/{verb}"), &body).problem(404),
            "no_such_wake"
        );
        assert_eq!(server.post(&format!("/api/v1/wakes/x/{verb}"), &body).problem(400), "invalid_id");
        assert_eq!(
            server.post(&format!("/api/v1/wakes/{unknown}/{verb}"), &json!({})).problem(400),
            "invalid_request"
        );
    }
}

#[test]
fn a_host_answers_only_for_its_session() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("session:chat-1");
    server.finished("true");
    let wake = claim(&server, json!({"session": "default"})).expect(200);
    let path = format!("/api/v1/wakes/{}/acknowledge", wake["id"].as_str().unwrap());
    let foreign = Request::new("POST", &path).json(&json!({"lease": wake["lease"]["id"]})).token(&token);
    assert_eq!(foreign.send(&server.address()).problem(404), "no_such_wake");
    let listed = Request::new("GET", "/api/v1/wakes").token(&token).send(&server.address()).expect(200);
    assert_eq!(listed["wakes"], json!([]));
    assert_eq!(answer(&server, &wake, "acknowledge", json!({})).status, 204);
    // The session of the token need not be named.
    let own = Request::new("POST", "/api/v1/wakes/claim").json(&json!({})).token(&token);
    assert_eq!(own.send(&server.address()).status, 204);
}
