//! Who may do what.

use serde_json::json;

use crate::client::{Address, Request};
use crate::server::{Server, Setup};

/// The status of a request for the jobs.
fn status(server: &Server, change: impl FnOnce(Request) -> Request) -> u16 {
    change(Request::new("GET", "/api/v1/jobs")).send(&server.address()).status
}

#[test]
fn every_request_needs_a_token_but_health_checks_and_the_page() {
    let setup = Setup::new();
    let server = setup.serve();
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ok\n")] {
        let answer = Request::new("GET", path).send(&server.address());
        assert_eq!((answer.status, answer.text().as_str()), (200, text));
    }
    for path in ["/", "/assets/main.js"] {
        assert_eq!(Request::new("GET", path).send(&server.address()).status, 200, "{path}");
    }
    for path in ["/api/v1/jobs", "/api/v1/server", "/metrics", "/mcp", "/api/v1/openapi.json", "/no/such"] {
        let answer = Request::new("GET", path).send(&server.address());
        assert_eq!(answer.problem(401), "no_token", "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"homing\""));
        let hint = answer.json()["hint"].as_str().expect("a hint").to_owned();
        assert!(hint.contains(server.ready["token_file"].as_str().unwrap()), "{hint}");
        assert!(!answer.text().contains(&server.token), "the token is never shown");
    }
}

#[test]
fn only_a_known_token_is_accepted() {
    let setup = Setup::new();
    let server = setup.serve();
    assert_eq!(status(&server, |request| request.token(&server.token)), 200);
    let bearer = format!("bearer {}", server.token);
    assert_eq!(status(&server, |request| request.header("Authorization", &bearer)), 200);
    for wrong in ["Bearer", "Bearer x", "Basic eDp4", &format!("Bearer {}0", server.token), &server.token] {
        assert_eq!(status(&server, |request| request.header("Authorization", wrong)), 401, "{wrong}");
    }
    let twice = |request: Request| request.token(&server.token).token("x");
    assert_eq!(status(&server, twice), 401);
}

#[test]
fn the_socket_needs_the_token_too_and_only_this_user_can_reach_it() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let server = setup.serve();
    let jobs = || Request::new("GET", "/api/v1/jobs");
    assert_eq!(jobs().send(&server.socket()).problem(401), "no_token");
    assert_eq!(jobs().token(&server.token).send(&server.socket()).status, 200);
    let Address::Socket(path) = server.socket() else { panic!("a socket") };
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
    // No web page reaches a socket, so any name of the server will do.
    assert_eq!(jobs().header("Host", "anything").token(&server.token).send(&server.socket()).status, 200);
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    let setup = Setup::new();
    let server =
        setup.serve_with(&["--allow-host", "homing.example", "--allow-origin", "https://app.example"]);
    let host = server.host();
    let port = host.rsplit(':').next().expect("a port").to_owned();
    let with = |host: &str, origin: Option<&str>| {
        status(&server, |request| {
            let request = request.header("Host", host).token(&server.token);
            match origin {
                Some(origin) => request.header("Origin", origin),
                None => request,
            }
        })
    };
    assert_eq!(with(&host, None), 200);
    assert_eq!(with(&host, Some(&format!("http://{host}"))), 200);
    assert_eq!(with(&format!("localhost:{port}"), Some(&format!("http://localhost:{port}"))), 200);
    assert_eq!(with(&format!("[::1]:{port}"), None), 200);
    assert_eq!(with("homing.example", Some("https://homing.example")), 200);
    assert_eq!(with(&host, Some("https://app.example")), 200);
    for foreign in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "", "a b"] {
        assert_eq!(with(foreign, None), 403, "{foreign}");
    }
    // A page of another local server is another origin.
    for origin in ["http://evil.example", "http://localhost:1", "http://127.0.0.1:1", "null", "file://"] {
        assert_eq!(with(&host, Some(origin)), 403, "{origin}");
    }
    for (name, value) in [("Host", host.as_str()), ("Origin", "https://app.example")] {
        let twice = |request: Request| request.header(name, value).header(name, value).token(&server.token);
        assert_eq!(status(&server, twice), 400, "{name}");
    }
    // The page too: a name that leads to this machine must not show it.
    let page = Request::new("GET", "/").header("Host", "evil.example").send(&server.address());
    assert_eq!(page.problem(403), "host_not_allowed");
}

#[test]
fn a_token_for_reading_changes_nothing() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("read");
    let id = server.finished("echo hello");
    let with = |request: Request| request.token(&token).send(&server.address());
    for path in ["/api/v1/jobs", "/api/v1/server", "/api/v1/config", "/api/v1/doctor", "/metrics"] {
        assert_eq!(with(Request::new("GET", path)).status, 200, "{path}");
    }
    assert_eq!(with(Request::new("GET", &format!("/api/v1/jobs/{id}/result"))).status, 200);
    for (path, body) in [
        ("/api/v1/jobs", json!({"command": "true"})),
        ("/api/v1/follow-ups/acknowledge", json!({"jobs": [id]})),
        ("/api/v1/wakes/claim", json!({"session": "default"})),
        ("/api/v1/agents/test-wake", json!({"session": "default"})),
        ("/mcp", json!({})),
    ] {
        assert_eq!(with(Request::new("POST", path).json(&body)).problem(403), "forbidden", "{path}");
    }
    assert_eq!(with(Request::new("GET", "/mcp")).problem(403), "forbidden");
    assert_eq!(setup.follow_up(&id), "pending", "reading acknowledges nothing");
}

#[test]
fn a_token_for_a_session_sees_and_changes_only_its_jobs() {
    let setup = Setup::new();
    let server = setup.serve();
    let token = setup.token("session:chat-1");
    let with = |request: Request| request.token(&token).send(&server.address());
    let get = |path: &str| with(Request::new("GET", path));
    let post = |path: &str, body| with(Request::new("POST", path).json(&body));
    let other = server.finished("true");
    let own = post("/api/v1/jobs", json!({"command": "echo own"})).expect(201);
    assert_eq!(own["session"], "chat-1");
    let own = own["id"].as_str().unwrap().to_owned();
    server.wait(&own);

    let listed = get("/api/v1/jobs").expect(200);
    let listed: Vec<&str> =
        listed["jobs"].as_array().unwrap().iter().filter_map(|job| job["id"].as_str()).collect();
    assert_eq!(listed, [own.as_str()]);
    assert_eq!(get("/api/v1/sessions").expect(200)["sessions"].as_array().unwrap().len(), 1);
    let named = get("/api/v1/server").expect(200);
    assert_eq!((&named["scope"], &named["session"]), (&json!("session:chat-1"), &json!("chat-1")));
    // Not even a unique beginning of the id reveals that the other job exists.
    for named in [other.as_str(), &other[..6]] {
        for route in ["", "/output", "/output/live", "/result", "/wait", "/wakes"] {
            let answer = get(&format!("/api/v1/jobs/{named}{route}"));
            assert_eq!(answer.problem(404), "no_such_job", "{route}");
        }
        for route in ["kill", "rerun"] {
            let answer = post(&format!("/api/v1/jobs/{named}/{route}"), json!({}));
            assert_eq!(answer.problem(404), "no_such_job", "{route}");
        }
        for change in ["acknowledge", "retry", "drop"] {
            let answer = post(&format!("/api/v1/follow-ups/{change}"), json!({"jobs": [own, named]}));
            assert_eq!(answer.problem(404), "no_such_job", "{change}");
        }
    }
    assert_eq!((setup.follow_up(&own), setup.follow_up(&other)), ("pending".into(), "pending".into()));
    for path in [
        "/api/v1/jobs?session=default",
        "/api/v1/follow-ups?session=default",
        "/api/v1/events/poll?session=default",
    ] {
        assert_eq!(get(path).problem(403), "forbidden", "{path}");
    }
    assert_eq!(
        post("/api/v1/jobs", json!({"command": "true", "session": "default"})).problem(403),
        "forbidden"
    );
    assert_eq!(post("/api/v1/wakes/claim", json!({"session": "default"})).problem(403), "forbidden");
    for path in ["/api/v1/config", "/api/v1/doctor", "/api/v1/agents", "/metrics"] {
        assert_eq!(get(path).problem(403), "forbidden", "{path}");
    }
    let killed = post(&format!("/api/v1/jobs/{own}/kill"), json!({})).expect(200);
    assert_eq!(killed["id"], own.as_str());
}

#[test]
fn a_base_path_leads_to_the_same_routes() {
    let setup = Setup::new();
    let server = setup.serve_with(&["--base-path", "/tools/homing/"]);
    assert!(server.ready["url"].as_str().unwrap().ends_with("/tools/homing"), "{}", server.ready);
    let get = |path: &str| Request::new("GET", path).token(&server.token).send(&server.address());
    assert_eq!(get("/tools/homing/api/v1/jobs?limit=1").status, 200);
    assert_eq!(get("/tools/homing/").status, 200);
    let redirect = get("/tools/homing");
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("/tools/homing/")));
    for outside in ["/", "/api/v1/jobs", "/tools/homingx/api/v1/jobs"] {
        assert_eq!(get(outside).problem(404), "no_such_route", "{outside}");
    }
    assert_eq!(get("/healthz").status, 200);
}
