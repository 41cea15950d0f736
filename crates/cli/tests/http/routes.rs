//! The routes that are described: each exists, needs a token, and answers as described.

use serde_json::{Value, json};

use crate::client::Request;
use crate::schema::Description;
use crate::server::Setup;

#[test]
fn every_described_route_exists_and_needs_a_token() {
    let setup = Setup::new();
    let server = setup.serve();
    let description = server.get("/api/v1/openapi.json").expect(200);
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"), "{}", description["openapi"]);
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.len() > 25, "{}", paths.len());
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            let method = if method == "get" { "GET" } else { "POST" };
            let concrete = path.replace("{id}", "000000000000");
            let anonymous = Request::new(method, &concrete).send(&server.address());
            let is_open = item[method.to_lowercase()]["security"] == json!([{}]);
            assert_eq!(anonymous.status == 401, !is_open, "{method} {path}: {}", anonymous.status);
            if !concrete.ends_with("/live") && !concrete.ends_with("/events") {
                let answer = server.send(Request::new(method, &concrete));
                let code = if answer.status >= 400 { answer.problem(answer.status) } else { String::new() };
                assert!(code != "no_such_route" && answer.status != 405, "{method} {path}: {code}");
            }
        }
    }
}

#[test]
fn answers_have_the_described_form() {
    let setup = Setup::new();
    let server = setup.serve();
    let description = Description(server.get("/api/v1/openapi.json").expect(200));
    let id = server.launch_with(json!({"command": "echo hello; exit 3", "env": {"A": "b"}}));
    server.wait(&id);
    let running = server.launch(&setup.marked("sleep MARK"));
    let usage = server.get(&format!("/api/v1/jobs/{running}/usage")).expect(200);
    description.check("get", "/api/v1/jobs/{id}/usage", "200", &usage);
    let never_ran = server.launch_with(json!({"argv": ["/no/such/program"]}));
    for job in [&id, &running, &never_ran] {
        let document = server.get(&format!("/api/v1/jobs/{job}")).expect(200);
        description.check("get", "/api/v1/jobs/{id}", "200", &document);
    }
    let wake = server.post("/api/v1/wakes/claim", &json!({"session": "default"})).expect(200);
    description.check("post", "/api/v1/wakes/claim", "200", &wake);
    for (path, query) in [
        ("/api/v1/jobs", ""),
        ("/api/v1/sessions", ""),
        ("/api/v1/follow-ups", ""),
        ("/api/v1/wakes", ""),
        ("/api/v1/wakes", "?text=false&since=1h"),
        ("/api/v1/events/poll", "?since=oldest"),
        ("/api/v1/agents", ""),
        ("/api/v1/server", ""),
        ("/api/v1/doctor", ""),
        ("/api/v1/config", ""),
    ] {
        let document = server.get(&format!("{path}{query}")).expect(200);
        description.check("get", path, "200", &document);
    }
    for part in ["output", "wakes", "wait"] {
        let document = server.get(&format!("/api/v1/jobs/{id}/{part}")).expect(200);
        description.check("get", &format!("/api/v1/jobs/{{id}}/{part}"), "200", &document);
    }
    let acknowledged = server.post("/api/v1/follow-ups/acknowledge", &json!({"jobs": [id]})).expect(200);
    description.check("post", "/api/v1/follow-ups/acknowledge", "200", &acknowledged);
    let checks = server.post("/api/v1/agents/test-wake", &json!({"session": "default"})).expect(200);
    description.check("post", "/api/v1/agents/test-wake", "200", &checks);
    let problem = server.get("/api/v1/jobs/000000000000").expect(404);
    description.check("get", "/api/v1/jobs/{id}", "default", &problem);
    let killed = server.post(&format!("/api/v1/jobs/{running}/kill"), &json!({})).expect(200);
    description.check("post", "/api/v1/jobs/{id}/kill", "200", &killed);
}

#[test]
fn the_server_describes_itself() {
    let setup = Setup::new();
    setup.configure("agents = [\"codex\"]\n[limits]\nmax_timeout = \"8h\"\n[sinks.hook]\nwebhook = \"http://127.0.0.1:1/secret?key=secret\"\n");
    let server = setup.serve();
    let document = server.get("/api/v1/server").expect(200);
    assert_eq!(document["schema"], "homing.server/1");
    assert_eq!(document["home"], setup.home.path().to_str().unwrap());
    assert_eq!(
        (&document["scope"], &document["token"], &document["session"]),
        (&json!("admin"), &json!("server"), &Value::Null)
    );
    assert_eq!(document["sinks"], json!(["hook", "codex"]));
    assert_eq!(
        (&document["default_timeout_ms"], &document["max_timeout_ms"]),
        (&json!(3_600_000), &json!(28_800_000))
    );
    assert_eq!(document["monitor"], json!({"active": false, "pid": null}));
    let config = server.get("/api/v1/config").expect(200);
    assert_eq!((&config["limits"]["max_timeout"], &config["agents"]), (&json!("8h"), &json!(["codex"])));
    assert!(!config.to_string().contains("secret\""), "{config}");
    assert_eq!(config["sinks"]["hook"]["webhook"], "http://127.0.0.1:1/…");
    let printed: Value = serde_json::from_slice(&setup.run(&["doctor", "--json"]).stdout).expect("checks");
    let names = |checks: &Value| {
        checks.as_array().unwrap().iter().map(|check| check["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&server.get("/api/v1/doctor").expect(200)), names(&printed));
}

#[test]
fn metrics_have_numbers_and_no_names() {
    let setup = Setup::new();
    let server = setup.serve();
    let id = server.launch_with(
        json!({"command": "echo secret-command", "session": "secret-session", "name": "secret-name"}),
    );
    server.wait(&id);
    let answer = server.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text();
    for line in [
        "homing_jobs_finished 1",
        "homing_jobs_running 0",
        "homing_follow_ups_open 1",
        "homing_sessions 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn agents_are_described_and_a_test_wake_reports_its_steps() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsession = \"chat-*\"\nsink = \"app\"\n");
    let server = setup.serve();
    let agents = server.get("/api/v1/agents").expect(200);
    let claude = agents["agents"].as_array().unwrap().iter().find(|agent| agent["name"] == "claude-code");
    let claude = claude.expect("it is known");
    assert_eq!((&claude["title"], &claude["last_wake"]), (&json!("Claude Code"), &Value::Null));
    let steps = server.post("/api/v1/agents/test-wake", &json!({"session": "chat-1"})).expect(200);
    let last = steps["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["status"]), (&json!("delivery"), &json!("ok")), "{steps}");
    let none = server.post("/api/v1/agents/test-wake", &json!({"session": "other"})).expect(200);
    let last = none["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["status"]), (&json!("route"), &json!("failed")), "{none}");
    for request in [json!({}), json!({"session": ""}), json!({"session": "a", "x": 1})] {
        assert_eq!(server.post("/api/v1/agents/test-wake", &request).problem(400), "invalid_request");
    }
}

#[test]
fn sessions_are_summarised() {
    let setup = Setup::new();
    let server = setup.serve();
    let first = server.launch_with(json!({"command": "true", "session": "chat-1"}));
    server.wait(&first);
    let newest = server.launch_with(json!({"command": setup.marked("sleep MARK"), "session": "chat-1"}));
    let sessions = server.get("/api/v1/sessions").expect(200);
    let session = &sessions["sessions"][0];
    for (field, value) in [
        ("session", json!("chat-1")),
        ("running", json!(1)),
        ("finished", json!(1)),
        ("open_follow_ups", json!(1)),
        ("dead", json!(0)),
        ("newest_job", json!(newest)),
        ("prospect", json!({"will_be_notified": false, "sink": null, "reason": "no_route"})),
    ] {
        assert_eq!(session[field], value, "{field}");
    }
    server.post(&format!("/api/v1/jobs/{newest}/kill"), &json!({})).expect(200);
}
