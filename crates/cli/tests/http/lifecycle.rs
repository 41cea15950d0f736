//! The life of a server: one for each home, its addresses, its end.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::wait_until;

use crate::client::{Address, Request};
use crate::server::{Server, Setup};

fn ready(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

#[test]
fn a_second_server_finds_the_first() {
    let setup = Setup::new();
    let server = setup.serve();
    assert_eq!(server.ready["already_running"], false);
    let second = ready(&setup.run(&["serve", "--json"]));
    let mut expected = server.ready.clone();
    expected["already_running"] = true.into();
    assert_eq!(second, expected);
    let told = setup.run(&["serve", "--listen"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("already served by process") && told.contains(&server.host()), "{told}");
}

#[test]
fn many_servers_that_start_at_once_become_one() {
    let setup = Setup::new();
    let mut started: Vec<_> = (0..5)
        .map(|_| {
            let mut command = setup.command(&["serve", "--json", "--listen", "127.0.0.1:0"]);
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let ended = |child: &mut std::process::Child| child.try_wait().expect("it is a child").is_some();
    wait_until("all but one have ended", || {
        started.iter_mut().map(&ended).filter(|has_ended| !has_ended).count() == 1
    });
    let running = started.iter_mut().position(|child| !ended(child)).expect("one runs");
    let first = started.remove(running);
    let urls: Vec<Value> = started
        .into_iter()
        .map(|child| ready(&child.wait_with_output().expect("it has ended"))["url"].clone())
        .collect();
    assert!(urls.iter().all(|url| url.is_string() && *url == urls[0]), "{urls:?}");
    testkit::kill(first.id());
    first.wait_with_output().expect("it ends");
}

#[test]
fn a_killed_server_is_replaced() {
    let setup = Setup::new();
    let server = setup.serve();
    let socket = server.ready["socket"].clone();
    server.kill();
    let server = setup.serve();
    assert_eq!((&server.ready["already_running"], &server.ready["socket"]), (&json!(false), &socket));
    assert_eq!(Request::new("GET", "/healthz").send(&server.socket()).status, 200);
}

#[test]
fn without_an_address_a_server_has_only_its_socket() {
    let setup = Setup::new();
    let server = Server::start(setup.command(&["serve", "--json"]));
    assert_eq!(server.ready["url"], Value::Null);
    assert_eq!(Request::new("GET", "/healthz").send(&server.socket()).status, 200);
    let refused = setup.run(&["serve", "--open", "--json"]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&refused.stdout).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "already_running");
    assert!(error["error"]["hint"].as_str().unwrap().contains("--private"), "{error}");
}

#[test]
fn a_port_that_is_taken_is_skipped_unless_it_was_named() {
    let setup = Setup::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it has one").to_string();
    let refused = setup.run(&["serve", "--listen", &address]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && error.contains("cannot listen on"), "{error}");
    // The default port may be free or not: another program of this machine may have it.
    let occupied = TcpListener::bind("127.0.0.1:7464");
    let server = Server::start(setup.command(&["serve", "--json", "--listen"]));
    let port: u16 = server.host().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    assert!((7464..7600).contains(&port), "{port}");
    assert!(occupied.is_err() || port != 7464, "the default port was taken");
}

#[test]
fn a_signal_ends_streams_and_waits_and_removes_the_files() {
    let setup = Setup::new();
    let mut server = setup.serve();
    let id = server.launch(&setup.marked("sleep MARK"));
    let mut stream = server.stream("/api/v1/events");
    assert_eq!(stream.next().expect("a message").event, "caught_up");
    let live = server.stream(&format!("/api/v1/jobs/{id}/output/live"));
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| server.get(&format!("/api/v1/jobs/{id}/wait?timeout_ms=300000")).expect(200));
        // Both streams and the wait occupy a place.
        wait_until("the wait has begun", || {
            server.get("/metrics").text().contains("homing_streams_open 3\n")
        });
        server.signal(Signal::TERM);
        assert_eq!(waiting.join().expect("it answers")["state"], "running");
    });
    assert_eq!(stream.count() + live.count(), 0, "they end");
    assert_eq!(server.child.wait().expect("it ends").code(), Some(143));
    let directory = setup.home.path().join("serve");
    assert!(!directory.join("sock").exists() && !directory.join("server.json").exists());
    setup.homing().kill(id.parse().unwrap(), homing::KilledBy::Operator).expect("it ends");
}

#[test]
fn a_private_server_runs_beside_the_other_and_ends_with_its_parent() {
    let setup = Setup::new();
    let server = setup.serve();
    let mut private = setup.serve_with(&["--private"]);
    assert_ne!(private.ready["socket"], server.ready["socket"]);
    assert_ne!(private.host(), server.host());
    let id = private.finished("true");
    assert_eq!(server.get(&format!("/api/v1/jobs/{id}")).status, 200, "it is the same home");
    // What its parent writes does not matter, only that it closes the pipe.
    private.child.stdin.as_mut().expect("a pipe").write_all(b"x\n").expect("it is written");
    assert_eq!(Request::new("GET", "/healthz").send(&private.address()).status, 200);
    let Address::Socket(path) = private.socket() else { panic!("a socket") };
    drop(private.child.stdin.take());
    assert_eq!(private.child.wait().expect("it ends").code(), Some(0));
    assert!(!path.exists());
    assert_eq!(server.get("/api/v1/jobs").status, 200);
}

#[test]
fn a_server_can_deliver_results_too() {
    let setup = Setup::new();
    let received = setup.home.scratch().join("received");
    let script = format!("cat > '{}'", received.display());
    setup.configure(&format!(
        "[sinks.app]\ncommand = [\"sh\", \"-c\", {script:?}]\n[[routes]]\nsink = \"app\"\n[monitor]\nautostart = false\n"
    ));
    let server = setup.serve_with(&["--monitor"]);
    let id = server.launch("echo hello");
    wait_until("the result is delivered", || received.metadata().is_ok_and(|file| file.len() > 0));
    wait_until("the result is acknowledged", || setup.follow_up(&id) == "acknowledged");
    assert_eq!(server.get("/api/v1/server").expect(200)["monitor"]["active"], true);
}

#[test]
fn a_long_path_of_a_home_moves_the_socket_to_the_runtime_directory() {
    let setup = Setup::new();
    let home = setup.home.path().join("x".repeat(90));
    std::fs::create_dir_all(setup.home.path()).expect("it is made");
    std::fs::create_dir(&home).expect("it is made");
    let mut command = setup.command(&["serve", "--json"]);
    command.env("HOMING_HOME", &home).env("XDG_RUNTIME_DIR", setup.home.scratch());
    let server = Server::start(command);
    let socket = server.ready["socket"].as_str().expect("a socket");
    assert!(Path::new(socket).starts_with(setup.home.scratch()) && !socket.contains("xxx"), "{socket}");
    assert_eq!(Request::new("GET", "/healthz").send(&server.socket()).status, 200);
}
