//! `homing token`.

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::{Server, Setup};

fn status(server: &Server, token: &str) -> u16 {
    Request::new("GET", "/api/v1/server").token(token).send(&server.address()).status
}

#[test]
fn a_token_is_created_listed_and_revoked() {
    let setup = Setup::new();
    let server = setup.serve();
    let created = setup.printed(&[
        "token",
        "create",
        "--scope",
        "session:chat 1",
        "--name",
        "host",
        "--expires",
        "8h",
        "--json",
    ]);
    let created: Value = serde_json::from_str(&created).expect("a document");
    let token = created["token"].as_str().expect("the token").to_owned();
    assert_eq!((&created["name"], &created["scope"]), (&json!("host"), &json!("session:chat 1")));
    assert!(created["expires_at"].is_string(), "{created}");
    let answer = Request::new("GET", "/api/v1/server").token(&token).send(&server.address()).expect(200);
    assert_eq!((&answer["token"], &answer["session"]), (&json!("host"), &json!("chat 1")));

    let listed: Value =
        serde_json::from_str(&setup.printed(&["token", "list", "--json"])).expect("a document");
    let mut expected = created.clone();
    expected.as_object_mut().unwrap().remove("token");
    assert_eq!(listed, json!([expected]));
    let table = setup.printed(&["token", "list"]);
    assert!(table.contains("host") && table.contains("session:chat 1") && !table.contains(&token), "{table}");
    for file in std::fs::read_dir(setup.home.path().join("serve")).expect("a directory") {
        let path = file.expect("a file").path();
        if path.is_file() {
            use std::os::unix::fs::PermissionsExt;
            let text = std::fs::read_to_string(&path).expect("it is text");
            assert!(!text.contains(&token), "{} contains the token", path.display());
            assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
        }
    }
    setup.printed(&["token", "revoke", "host"]);
    assert_eq!(status(&server, &token), 401, "a running server notices it at once");
    let again = setup.run(&["token", "revoke", "host", "--json"]);
    assert_eq!(again.status.code(), Some(2));
    let error: Value = serde_json::from_slice(&again.stdout).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "no_such_token");
}

#[test]
fn a_stream_ends_with_its_token() {
    let setup = Setup::new();
    let server = setup.serve();
    let create = |name| {
        let arguments = ["token", "create", "--scope", "admin", "--name", name];
        setup.printed(&arguments).trim_end().to_owned()
    };
    let follow =
        |token: &str, path: &str| Request::new("GET", path).token(token).open(&server.address()).messages();
    let (revoked, valid) = (create("revoked"), create("valid"));
    let job = server.launch("while :; do date; sleep 0.1; done");
    let live = format!("/api/v1/jobs/{job}/output/live");
    let mut others = follow(&valid, &live);
    let ended: Vec<_> = [&live, "/api/v1/events"]
        .map(|path| follow(&revoked, path))
        .into_iter()
        .map(|mut stream| {
            stream.next().expect("a message");
            std::thread::spawn(move || stream.count())
        })
        .collect();
    setup.printed(&["token", "revoke", "revoked"]);
    // A token of the same name is another token.
    create("revoked");
    testkit::wait_until("the streams have ended", || {
        server.finished("true");
        ended.iter().all(std::thread::JoinHandle::is_finished)
    });
    for _ in 0..20 {
        assert_eq!(others.next().expect("it goes on").event, "output");
    }
    server.post(&format!("/api/v1/jobs/{job}/kill"), &json!({})).expect(200);
}

#[test]
fn a_token_ends() {
    let setup = Setup::new();
    let server = setup.serve();
    let token =
        setup.printed(&["token", "create", "--scope", "admin", "--expires", "1s"]).trim_end().to_owned();
    assert_eq!(status(&server, &token), 200);
    testkit::wait_until("it has ended", || status(&server, &token) == 401);
    assert_eq!(setup.printed(&["token", "list", "--json"]), "[]\n");
}

#[test]
fn tokens_survive_the_server_and_wrong_scopes_are_refused() {
    let setup = Setup::new();
    assert_eq!(setup.printed(&["token", "list", "--json"]), "[]\n");
    assert!(!setup.home.path().exists(), "a list creates no home");
    let token = setup.token("read");
    let server = setup.serve();
    assert_eq!(status(&server, &token), 200);
    server.kill();
    let server = setup.serve();
    assert_eq!(status(&server, &token), 200);
    for arguments in [
        &["token", "create"][..],
        &["token", "create", "--scope", "write"],
        &["token", "create", "--scope", "session:"],
        &["token", "create", "--scope", "read", "--name", "a b"],
        &["token", "create", "--scope", "read", "--name", "server"],
        &["token", "create", "--scope", "read", "--expires", "soon"],
    ] {
        assert_eq!(setup.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
