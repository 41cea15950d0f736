//! Wakes: hosts that claim and deliver them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homing::Claimant;
use serde_json::{Value, json};
use testkit::wait_until;

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

/// Ends the hosts of a test, even if the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How often each job was delivered.
type Counts = HashMap<String, usize>;

fn count_jobs(counts: &mut Counts, wake: &Value) {
    for job in wake["jobs"].as_array().expect("jobs") {
        *counts.entry(job["id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
}

/// Claims wakes until the test ends, and counts the jobs that it delivers. Some claims it forgets, as a host that dies, and to
/// some it answers that the agent is busy.
fn deliver(server: &Server, ended: &AtomicBool, delivered: &Mutex<Counts>) {
    for turn in 0.. {
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let session = format!("chat-{}", turn % 3);
        let request = json!({"session": session, "wait_ms": 20, "lease_ms": 1_000});
        let claimed = claim(server, request);
        if claimed.status == 204 {
            continue;
        }
        let wake = claimed.expect(200);
        match turn % 7 {
            0 => continue,
            1 => drop(answer(server, &wake, "busy", json!({"retry_after_ms": 1}))),
            _ => {
                count_jobs(&mut delivered.lock().expect("no host panics"), &wake);
                assert_eq!(answer(server, &wake, "acknowledge", json!({})).status, 204);
            }
        }
    }
}

#[test]
fn three_hosts_a_hook_and_a_monitor_deliver_every_job_once() {
    const JOBS: usize = 60;
    let setup = Setup::new();
    let by_monitor = setup.home.scratch().join("delivered");
    std::fs::create_dir(&by_monitor).expect("a folder");
    let retries = vec!["\"0s\""; 40].join(", ");
    setup.configure(&format!(
        "[monitor]\nbatch_window = \"0s\"\nwakes_per_hour = 1000000\nretries = [{retries}]\n\
         [sinks.file]\ncommand = [\"sh\", \"-c\", \"cat > $(mktemp -p '{}')\"]\n[[routes]]\nsink = \"file\"\n",
        by_monitor.display()
    ));
    let server = setup.serve_with(&["--monitor"]);
    let (ended, delivered) = (AtomicBool::new(false), Mutex::new(Counts::new()));
    std::thread::scope(|scope| {
        let _ends = Ends(&ended);
        for _ in 0..3 {
            scope.spawn(|| deliver(&server, &ended, &delivered));
        }
        scope.spawn(|| {
            let homing = setup.homing();
            let claimant = Claimant { session: "chat-1".parse().expect("a session"), harness: None };
            while !ended.load(Ordering::Relaxed) {
                let Some(wake) = homing.claim_wake(&claimant).expect("the ledger") else { continue };
                let mut delivered = delivered.lock().expect("no host panics");
                for job in &wake.content.job_ids {
                    *delivered.entry(job.to_string()).or_default() += 1;
                }
                drop(delivered);
                homing.confirm_wake(&wake).expect("it is confirmed");
            }
        });
        let launch = |number: usize| {
            server.launch_with(json!({"command": "true", "session": format!("chat-{}", number % 3)}))
        };
        let jobs: Vec<_> = (0..JOBS).map(launch).collect();
        jobs.iter().for_each(|job| drop(server.wait(job)));
        wait_until("every result is acknowledged", || {
            server.get("/api/v1/follow-ups?limit=1").expect(200)["jobs"] == json!([])
        });
    });
    let mut by_all = delivered.into_inner().expect("no host panics");
    let by_hosts = by_all.len();
    for file in std::fs::read_dir(&by_monitor).expect("a folder") {
        let wake = std::fs::read(file.expect("a file").path()).expect("a wake");
        let wake: Value = serde_json::from_slice(&wake).expect("a wake is JSON");
        count_jobs(&mut by_all, &wake);
    }
    assert!(by_all.values().all(|times| *times == 1), "{by_all:?}");
    assert_eq!(by_all.len(), JOBS);
    eprintln!("{by_hosts} of {JOBS} jobs were delivered by hosts and the hook");
}
