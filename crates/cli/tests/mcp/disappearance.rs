//! If a client disconnects, its jobs keep running and undelivered results stay pending.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{CONNECTIONS, Client, Revision, Traits, Transport};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_during_a_wait_acknowledges_nothing() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        // Over HTTP, the server survives its client.
        let server = (connection.0 == Transport::Http).then(|| setup.serve_http(&[]));
        let mut client = match &server {
            Some(server) => Client::over_http(server, connection.1, Traits::default()).await,
            None => Client::over_stdio(&setup, connection.1, Traits::default()).await,
        };
        let gate = setup.home.scratch().join("gate");
        let id = client
            .run_in_background(&format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display()))
            .await;
        wait_until_waiting(&client, &id).await;
        // The server is not killed: its connection closes while it waits. Over HTTP it finds out only when the job has
        // finished: it is stopped until then.
        let child = client.child.take();
        if let Some(server) = &server {
            server.signal(Signal::STOP);
        }
        drop(client);
        assert!(setup.job(&id).outcome().is_none(), "{connection:?}: the job keeps running");
        std::fs::write(&gate, "").expect("the gate opens");
        if let Some(server) = &server {
            server.wait_for_clients_to_leave();
        }
        setup.wait_for_end(&id);
        if let Some(server) = &server {
            server.signal(Signal::CONT);
        }
        // The abandoned wait has ended when the server answers this or exits.
        match &server {
            Some(server) => {
                let next = Client::over_http(server, connection.1, Traits::default()).await;
                next.call("list_jobs", json!({})).await;
            }
            None => drop(child.expect("the client started it").wait().await.expect("it ends")),
        }
        assert_eq!(setup.follow_up(&id), "pending", "{connection:?}: the session has not read it");
    }
}

/// Starts a wait and returns when the server reports progress.
async fn wait_until_waiting(client: &Client, id: &str) {
    let waiting = client.try_call("wait_for_jobs", json!({"job_ids": [id]}));
    let progress = async {
        while client.service.service().progress.lock().expect("no panic").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = waiting => panic!("it was answered: {answer:?}"),
        () = progress => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_during_a_wait_loses_nothing() {
    let setup = Setup::new();
    let mut client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let gate = setup.home.scratch().join("gate");
    let id =
        client.run_in_background(&format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display())).await;
    wait_until_waiting(&client, &id).await;
    let mut child = client.child.take().expect("the client started it");
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("it runs");
    kill_process(pid, Signal::KILL).expect("it is killed");
    child.wait().await.expect("it ends");
    std::fs::write(&gate, "").expect("the gate opens");
    setup.wait_for_end(&id);
    assert_eq!(setup.follow_up(&id), "pending");

    let next = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let reply = next.result(&id).await;
    assert_eq!(reply.jobs()[0]["succeeded"], true);
    setup.wait_for_follow_up(&id, "acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_terminated_after_a_reply_acknowledges_it_first() {
    let setup = Setup::new();
    let mut client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let mut child = client.child.take().expect("the client started it");
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).expect("it runs");
    let reply = client.call("run_command", json!({"command": "echo delivered"})).await;
    kill_process(pid, Signal::TERM).expect("it is signaled");
    let status = child.wait().await.expect("it ends");
    assert_eq!(status.code(), Some(128 + Signal::TERM.as_raw()));
    assert_eq!(setup.follow_up(&reply.id()), "acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_exits_when_its_client_disconnects() {
    for revision in [Revision::With2025, Revision::With2026] {
        let setup = Setup::new();
        let mut client = Client::over_stdio(&setup, revision, Traits::default()).await;
        let mut child = client.child.take().expect("the client started it");
        client.service.cancel().await.expect("it closes");
        let status = child.wait().await.expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_reply_to_a_client_that_closed_its_output_acknowledges_nothing() {
    let setup = Setup::new();
    let mut server =
        setup.command(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
    let mut input = server.stdin.take().expect("open");
    let mut output = BufReader::new(server.stdout.take().expect("open")).lines();
    let gate = setup.home.scratch().join("gate");
    let command = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
    let call =
        json!({"name": "run_command", "arguments": {"command": command}, "_meta": {"progressToken": 1}});
    for (id, method, params) in [(1, "initialize", hello), (2, "tools/call", call)] {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(input, "{message}").expect("it takes the request");
    }
    let mut read = || output.next().expect("it answers").expect("text");
    while !read().contains("notifications/progress") {}
    // The client closes its output and still reads: a harness that exits does this.
    drop(input);
    std::fs::write(&gate, "").expect("the gate opens");
    assert!(
        output.map(|line| line.expect("text")).any(|line| line.contains("\"id\":2")),
        "it is answered all the same"
    );
    assert_eq!(server.wait().expect("it ends").code(), Some(0));
    let jobs = setup.homing().list(&homing::ListOptions::default()).expect("a list");
    assert_eq!(setup.follow_up(jobs[0].id.as_str()), "pending");
}
