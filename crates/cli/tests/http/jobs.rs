//! Launching, listing, waiting for and killing jobs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::wait_until;

use crate::client::Request;
use crate::server::Setup;

#[test]
fn a_script_and_a_program_are_launched_with_their_settings() {
    let setup = Setup::new();
    let server = setup.serve();
    let folder = setup.home.scratch().to_str().unwrap();
    let job = server.post("/api/v1/jobs", &json!({
        "command": "pwd; echo $WHO", "session": "chat-1", "name": "nightly", "cwd": folder, "env": {"WHO": "me"},
        "timeout_ms": 90_000, "grace_ms": 3_000, "shell": "bash", "follow_up": "on_failure",
    }));
    let job = job.expect(201);
    let id = job["id"].as_str().unwrap();
    for (field, value) in [
        ("session", json!("chat-1")),
        ("name", json!("nightly")),
        ("cwd", json!(folder)),
        ("env_names", json!(["WHO"])),
        ("timeout_ms", json!(90_000)),
        ("grace_ms", json!(3_000)),
        ("follow_up_policy", json!("failure")),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    server.wait(id);
    let output = server.get(&format!("/api/v1/jobs/{id}/output")).expect(200);
    assert_eq!(output["text"], format!("{folder}\nme\n"));

    let id = server.launch_with(json!({"argv": ["printf", "%s", "a b"], "timeout_ms": 0}));
    let job = server.wait(&id);
    assert_eq!((&job["argv"], &job["timeout_ms"]), (&json!(["printf", "%s", "a b"]), &Value::Null));
    assert_eq!(job["session"], "default");
}

#[test]
fn documents_are_those_of_the_command_line() {
    let setup = Setup::new();
    let server = setup.serve();
    let ids = [server.finished("echo out; exit 3"), server.finished("true")];
    let shown = setup.printed(&["show", &ids[0], "--json"]);
    assert_eq!(server.get(&format!("/api/v1/jobs/{}", ids[0])).text(), shown.trim_end());
    let listed = setup.printed(&["list", "--all-sessions", "--json"]);
    let page = server.get("/api/v1/jobs").text();
    assert!(page.contains(listed.trim_end()), "{page}");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let setup = Setup::new();
    let server = setup.serve();
    for (request, code, named) in [
        (json!({}), "invalid_request", "command"),
        (json!({"command": "true", "argv": ["true"]}), "invalid_request", "either"),
        (json!({"command": " "}), "invalid_command", ""),
        (json!({"argv": []}), "invalid_command", ""),
        (json!({"command": "true", "comand": "x"}), "invalid_request", "comand"),
        (json!({"command": 1}), "invalid_request", "command"),
        (json!({"command": "true", "env": {"A": 1}}), "invalid_request", "env.A"),
        (json!({"command": "true", "session": "a\nb"}), "invalid_request", "session"),
        (json!({"command": "true", "cwd": "here"}), "invalid_request", "absolute"),
        (json!({"command": "true", "cwd": "/no/such"}), "invalid_directory", "/no/such"),
        (json!({"command": "true", "timeout_ms": -1}), "invalid_request", "timeout_ms"),
        (json!({"command": "true", "timeout_ms": 2_592_000_001_u64}), "invalid_request", "2592000000"),
        (json!({"command": "true", "shell": "fish"}), "invalid_request", "shell"),
        (json!({"command": "true", "follow_up": "maybe"}), "invalid_request", "follow_up"),
        (json!({"command": "true", "sink": "none"}), "no_such_sink", "none"),
        (json!([]), "invalid_request", ""),
    ] {
        let answer = server.post("/api/v1/jobs", &request);
        assert_eq!(answer.problem(400), code, "{request}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{request}: {detail}");
    }
    let broken = Request::new("POST", "/api/v1/jobs").header("Content-Type", "application/json").body("{");
    assert_eq!(server.send(broken).problem(400), "invalid_request");
    assert_eq!(server.get("/api/v1/jobs").expect(200)["jobs"], json!([]), "nothing was launched");
}

#[test]
fn a_program_that_does_not_exist_is_a_finished_job() {
    let setup = Setup::new();
    let server = setup.serve();
    let job = server.post("/api/v1/jobs", &json!({"argv": ["/no/such/program"]})).expect(201);
    assert_eq!((&job["state"], &job["outcome"]["kind"]), (&json!("finished"), &json!("failed_to_start")));
}

#[test]
fn a_key_launches_one_job() {
    let setup = Setup::new();
    let server = setup.serve();
    let launch = |key: &str, command: &str| {
        let request = Request::new("POST", "/api/v1/jobs").json(&json!({"command": command}));
        server.send(request.header("Idempotency-Key", key))
    };
    let first = launch("message-17", "echo once").expect(201);
    let again = launch("message-17", "echo once").expect(200);
    assert_eq!(first["id"], again["id"]);
    let other = launch("message-17", "echo twice");
    assert_eq!(other.problem(422), "key_taken");
    assert_ne!(launch("message-18", "echo once").expect(201)["id"], first["id"]);
    // The key may also be in the body, but not two different ones.
    let body = json!({"command": "echo once", "key": "message-17"});
    assert_eq!(server.post("/api/v1/jobs", &body).expect(200)["id"], first["id"]);
    let request = Request::new("POST", "/api/v1/jobs").json(&body).header("Idempotency-Key", "other");
    assert_eq!(server.send(request).problem(400), "invalid_request");
    assert_eq!(launch(&"x".repeat(257), "true").problem(400), "invalid_id");
    let twice = Request::new("POST", "/api/v1/jobs").json(&json!({"command": "true"}));
    let twice = twice.header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_eq!(server.send(twice).problem(400), "invalid_request");
    server.wait(first["id"].as_str().unwrap());
}

#[test]
fn lists_are_filtered_and_have_pages() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut ids: Vec<String> = (0..5)
        .map(|index| {
            let (session, code) = (format!("chat-{}", index % 2), index % 3);
            let id = server.launch_with(json!({"command": format!("exit {code}"), "session": session, "name": format!("job-{index}")}));
            server.wait(&id);
            id
        })
        .collect();
    ids.reverse();
    let list = |query: &str| {
        let page = server.get(&format!("/api/v1/jobs{query}")).expect(200);
        let jobs = page["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(""), ids);
    assert_eq!(list("?session=chat-1"), [ids[1].clone(), ids[3].clone()]);
    assert_eq!(list("?failed=true"), [ids[0].clone(), ids[2].clone(), ids[3].clone()]);
    assert_eq!(list("?name=job-0"), [ids[4].clone()]);
    assert_eq!(list("?state=running"), Vec::<String>::new());
    assert_eq!(list("?since=1h").len(), 5);
    assert_eq!(list("?since=2099-01-01T00:00Z"), Vec::<String>::new());
    assert_eq!(list(&format!("?ids={},{}", ids[4], ids[0])), [ids[0].clone(), ids[4].clone()]);
    assert_eq!(list("?ids=000000000000"), Vec::<String>::new());

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/jobs?limit=2{cursor}")).expect(200);
        seen.extend(
            page["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    for query in [
        "?limit=0",
        "?limit=501",
        "?limit=x",
        "?state=paused",
        "?since=soon",
        "?cursor=x",
        "?ids=x",
        "?unknown=1",
        "?failed=maybe",
    ] {
        assert_eq!(server.get(&format!("/api/v1/jobs{query}")).status, 400, "{query}");
    }
    let many = vec!["000000000000"; 101].join(",");
    assert!(
        server.get(&format!("/api/v1/jobs?ids={many}")).json()["detail"].as_str().unwrap().contains("100")
    );
}

#[test]
fn a_job_is_found_by_a_beginning_of_its_id() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.finished("true");
    assert_eq!(server.get(&format!("/api/v1/jobs/{}", &id[..8])).expect(200)["id"], id.as_str());
    for (named, status, code) in
        [("000000000000", 404, "no_such_job"), ("abc", 400, "invalid_id"), ("x%2Fy", 400, "invalid_id")]
    {
        assert_eq!(server.get(&format!("/api/v1/jobs/{named}")).problem(status), code, "{named}");
    }
}

#[test]
fn a_wait_ends_with_the_job_or_its_limit() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.launch(&setup.marked("sleep MARK"));
    let began = Instant::now();
    let job = server.get(&format!("/api/v1/jobs/{id}/wait?timeout_ms=200")).expect(200);
    assert_eq!(job["state"], "running");
    assert!(began.elapsed() >= Duration::from_millis(200));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.wait(&id));
        let killed = server.post(&format!("/api/v1/jobs/{id}/kill"), &json!({})).expect(200);
        assert_eq!(killed["outcome"], json!({"kind": "killed", "reason": "operator"}));
        assert_eq!(waiting.join().expect("it waits")["outcome"], killed["outcome"]);
    });
    let too_long = server.get(&format!("/api/v1/jobs/{id}/wait?timeout_ms=300001"));
    assert!(too_long.problem(400) == "invalid_request" && too_long.text().contains("300000"));
}

#[test]
fn a_session_that_kills_its_own_job_is_not_notified() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("session:chat-1");
    let id = server.launch_with(json!({"command": setup.marked("sleep MARK"), "session": "chat-1"}));
    let kill = Request::new("POST", &format!("/api/v1/jobs/{id}/kill")).token(&token);
    let killed = kill.send(&server.address()).expect(200);
    assert_eq!(killed["outcome"], json!({"kind": "killed", "reason": "session"}));
    assert_eq!(killed["follow_up"]["state"], "suppressed");
}

#[test]
fn a_job_is_launched_again() {
    let setup = Setup::new();
    let server = setup.serve();
    let first = server.launch_with(
        json!({"command": "echo again", "session": "chat-1", "name": "n", "timeout_ms": 90_000}),
    );
    server.wait(&first);
    let again = server.post(&format!("/api/v1/jobs/{first}/rerun"), &json!({})).expect(201);
    for (field, value) in [
        ("command", json!("echo again")),
        ("session", json!("chat-1")),
        ("name", json!("n")),
        ("timeout_ms", json!(90_000)),
    ] {
        assert_eq!(again[field], value, "{field}");
    }
    assert_ne!(again["id"], first.as_str());
    server.wait(again["id"].as_str().unwrap());
    let secret = server.launch_with(json!({"command": "true", "env": {"TOKEN": "secret"}}));
    server.wait(&secret);
    let refused = server.post(&format!("/api/v1/jobs/{secret}/rerun"), &json!({}));
    assert_eq!(refused.problem(400), "missing_variables");
    assert!(refused.text().contains("TOKEN"), "{}", refused.text());
}

#[test]
fn jobs_survive_their_server() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.launch(&setup.marked("sleep MARK"));
    server.kill();
    let server = setup.serve();
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).expect(200)["state"], "running");
    server.post(&format!("/api/v1/jobs/{id}/kill"), &json!({})).expect(200);
}

#[test]
fn the_use_of_processor_and_memory_is_reported_while_a_job_runs() {
    let setup = Setup::new();
    let server = setup.serve();
    let busy = server.launch("(while :; do :; done) & (while :; do :; done) & wait");
    let usage = || server.get(&format!("/api/v1/jobs/{busy}/usage"));
    wait_until("three processes use the processor", || {
        let used = usage().expect(200);
        used["processes"] == 3
            && used["cpu_ms"].as_u64() > Some(100)
            && used["memory_bytes"].as_u64() > Some(1 << 20)
    });
    // Processes that have ended count too.
    let ended = server.launch(
        "(exec timeout 0.3 sh -c 'while :; do :; done'); while [ -e /proc/self ]; do sleep 0.1; done",
    );
    wait_until("the time of an ended process counts", || {
        let used = server.get(&format!("/api/v1/jobs/{ended}/usage")).expect(200);
        used["cpu_ms"].as_u64() > Some(100) && used["processes"].as_u64() < Some(3)
    });
    for id in [&busy, &ended] {
        server.post(&format!("/api/v1/jobs/{id}/kill"), &json!({})).expect(200);
    }
    assert_eq!(usage().status, 204, "it has finished");
    assert_eq!(server.get("/api/v1/jobs/000000000000/usage").problem(404), "no_such_job");
    let foreign =
        Request::new("GET", &format!("/api/v1/jobs/{busy}/usage")).token(&setup.token("session:chat-9"));
    assert_eq!(foreign.send(&server.address()).problem(404), "no_such_job");
}
