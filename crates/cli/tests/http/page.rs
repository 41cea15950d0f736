//! The web page, and the link that opens it.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use testkit::wait_until;

use crate::client::{Answer, Request};
use crate::server::{Server, Setup};

fn exchange(server: &Server, code: &str) -> Answer {
    let request = Request::new("POST", "/api/v1/browser/exchange").json(&json!({"code": code}));
    request.send(&server.address())
}

#[test]
fn the_page_is_served_with_a_strict_policy() {
    let setup = Setup::new();
    let server = setup.serve();
    let page = Request::new("GET", "/").send(&server.address());
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(
        (page.header("referrer-policy"), page.header("x-content-type-options")),
        (Some("no-referrer"), Some("nosniff"))
    );
    let text = page.text();
    let assets: Vec<&str> = text.split('"').filter(|part| part.starts_with("assets/")).collect();
    assert!(assets.len() > 3, "{text}");
    for asset in assets {
        assert!(asset.contains("?v="), "{asset}");
        let answer = Request::new("GET", &format!("/{asset}")).send(&server.address());
        assert_eq!(answer.status, 200, "{asset}");
        assert!(answer.header("cache-control").unwrap().contains("immutable"), "{asset}");
    }
    let plain = Request::new("GET", "/assets/main.js").send(&server.address());
    assert_eq!(plain.header("cache-control"), Some("no-cache"));
    let tag = plain.header("etag").expect("a tag").to_owned();
    let again = Request::new("GET", "/assets/main.js").header("If-None-Match", &tag).send(&server.address());
    assert_eq!(again.status, 304);
    let missing = Request::new("GET", "/assets/none.js").send(&server.address());
    assert_eq!(missing.problem(401), "no_token");
}

#[test]
fn a_link_opens_the_page_once() {
    let setup = Setup::new();
    let server = setup.serve();
    // A browser that notes what it opens.
    let (browser, opened) = (setup.home.scratch().join("browser"), setup.home.scratch().join("opened"));
    std::fs::write(&browser, format!("#!/bin/sh\ncat \"$1\" > '{}'\n", opened.display()))
        .expect("it is written");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).expect("it is set");
    let mut command = setup.command(&["serve", "--open"]);
    let output = command.env("BROWSER", &browser).output().expect("it ends");
    assert!(output.status.success());
    wait_until("the browser has read the file", || opened.metadata().is_ok_and(|file| file.len() > 0));
    let file = std::fs::read_to_string(&opened).expect("it is there");
    let link = file.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a link");
    let (url, code) = link.split_once("/#code=").expect("a code");
    assert_eq!(url, server.ready["url"].as_str().unwrap());
    assert!(String::from_utf8_lossy(&output.stderr).contains(link), "people see it too");
    let written = setup.home.path().join("serve/open.html");
    assert_eq!(written.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);

    let token = exchange(&server, code).expect(200);
    let text = token["token"].as_str().expect("a token");
    assert!(token["expires_at"].is_string(), "{token}");
    let answer = Request::new("GET", "/api/v1/server").token(text).send(&server.address()).expect(200);
    assert_eq!(answer["scope"], "admin");
    let again = exchange(&server, code);
    assert_eq!(again.problem(401), "invalid_code");
    assert!(again.text().contains("homing serve --open"), "{}", again.text());
    for wrong in ["", "0", &"x".repeat(10_000)] {
        assert_eq!(exchange(&server, wrong).problem(401), "invalid_code");
    }
    // The page keeps its token over a restart of the server.
    let text = text.to_owned();
    server.kill();
    let server = setup.serve();
    assert_eq!(Request::new("GET", "/api/v1/server").token(&text).send(&server.address()).status, 200);
}
