//! The life of a job, over each transport and revision.

use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_in_time_returns_its_result_and_is_acknowledged() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let arguments = json!({"command": "echo built; exit 3", "description": "build"});
        let reply = client.call("run_command", arguments).await;
        assert!(reply.is_error(), "a command that failed is an error of the tool");
        assert!(reply.text().contains("failed: exit code 3"), "{connection:?} {}", reply.text());
        let job = &reply.document()["job"];
        assert_eq!((&job["schema"], &job["state"]), (&json!("homing.job/1"), &json!("finished")));
        assert_eq!((&job["name"], &job["succeeded"]), (&json!("build"), &json!(false)));
        assert_eq!(reply.document()["text"], reply.text());
        setup.wait_for_follow_up(&reply.id(), "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_longer_keeps_running_in_the_background() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let gate = setup.home.scratch().join("gate");
        let command = format!("until [ -e '{}' ]; do sleep 0.02; done; echo through", gate.display());
        let arguments = json!({"command": command, "wait_ms": 50, "timeout_ms": 600_000});
        let reply = client.call("run_command", arguments).await;
        let id = reply.id();
        assert_eq!((reply.is_error(), &reply.document()["in_background"]), (false, &json!(true)));
        assert!(
            reply.text().contains(&id) && reply.text().contains("It is stopped at 20"),
            "{}",
            reply.text()
        );
        assert!(reply.document()["ends_at"].is_string());

        let waited = client.call("wait_for_jobs", json!({"job_ids": [id], "timeout_ms": 20})).await;
        assert_eq!(waited.document()["satisfied"], false);
        assert!(waited.text().contains("Timed out. Still running:"), "{}", waited.text());
        assert_eq!(setup.follow_up(&id), "waiting");

        std::fs::write(&gate, "").expect("the gate opens");
        let waited = client.call("wait_for_jobs", json!({"job_ids": [id]})).await;
        assert_eq!(waited.document()["satisfied"], true);
        assert!(
            waited.text().contains("succeeded") && waited.text().contains("through"),
            "{}",
            waited.text()
        );
        setup.wait_for_follow_up(&id, "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_any_returns_the_first_and_lists_the_others() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let slow = client.run_in_background(&setup.marked("exec sleep MARK")).await;
    let quick = client.run_in_background("true").await;
    let arguments = json!({"job_ids": [slow, quick], "mode": "any"});
    let reply = client.call("wait_for_jobs", arguments).await;
    assert_eq!(reply.document()["satisfied"], true);
    assert_eq!(reply.document()["jobs"][1]["succeeded"], true);
    assert!(reply.text().contains("Still running:"), "{}", reply.text());
    let ended = client.call("kill_jobs", json!({"job_ids": [slow]})).await;
    assert_eq!(ended.document()["jobs"][0]["outcome"], json!({"kind": "killed", "reason": "session"}));
    assert_eq!(setup.follow_up(&slow), "suppressed");
    assert!(setup.home.marked().is_empty(), "no process is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_read_by_cursor_by_lines_and_by_filter() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let command =
        "for i in $(seq 1 500); do echo \"line $i\"; done; printf 'error: \\033[31mbad\\033[0m\\nlast'";
    let id = client.run_in_background(command).await;
    setup.wait_for_end(&id);
    let read = async |arguments: serde_json::Value| {
        let mut arguments = arguments;
        arguments["job_id"] = json!(id);
        let reply = client.call("read_output", arguments).await;
        let mut document = reply.document().clone();
        document["text"] = json!(reply.output());
        document
    };

    let first = read(json!({"max_chars": 200})).await;
    assert_eq!(first["more"], true);
    let mut text = first["text"].as_str().expect("text").to_owned();
    let mut next = first["next"].clone();
    assert!(text.starts_with("line 1\nline 2\n") && text.len() <= 200, "{text}");
    loop {
        let part = read(json!({"cursor": next, "max_chars": 16_000})).await;
        text += part["text"].as_str().expect("text");
        next = part["next"].clone();
        if part["more"] == false {
            break;
        }
    }
    let expected: String =
        (1..=500).map(|i| format!("line {i}\n")).collect::<String>() + "error: bad\nlast\n";
    assert_eq!(text, expected, "read in parts, nothing is missing and nothing comes twice");

    let matching = read(json!({"filter": "^error|line 49[89]$"})).await;
    assert_eq!(matching["text"], "line 498\nline 499\nerror: bad\n");
    let tail = read(json!({"tail_lines": 2})).await;
    assert_eq!(tail["text"], "error: bad\nlast\n");
    assert_eq!(setup.follow_up(&id), "pending", "reading output is not reading the result");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_line_is_returned_again_when_it_is_complete() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let gate = setup.home.scratch().join("gate");
    let command = format!(
        "echo one; printf 'Password'; until [ -e '{}' ]; do sleep 0.02; done; echo ': no'",
        gate.display()
    );
    let id = client.run_in_background(&command).await;
    let homing = setup.homing();
    testkit::wait_until("it has asked", || {
        homing.output_end(id.parse().expect("an id")).is_ok_and(|end| end == 12)
    });
    let first = client.call("read_output", json!({"job_id": id})).await;
    assert_eq!((first.output().as_str(), &first.document()["next"]), ("one\nPassword\n", &json!(4)));
    std::fs::write(&gate, "").expect("the gate opens");
    setup.wait_for_end(&id);
    let second = client.call("read_output", json!({"job_id": id, "cursor": 4})).await;
    assert_eq!((second.output().as_str(), &second.document()["next"]), ("Password: no\n", &json!(17)));
}

#[tokio::test(flavor = "multi_thread")]
async fn omitted_output_is_reported() {
    let setup = Setup::new();
    setup.configure("[defaults]\noutput_head_bytes = 4096\noutput_tail_bytes = 4096\n");
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let id = client.run_in_background("seq 1 20000").await;
    setup.wait_for_end(&id);
    let read = client.call("read_output", json!({"job_id": id, "max_chars": 16_000})).await;
    let text = read.output();
    assert!(text.starts_with("1\n2\n") && text.ends_with("19999\n20000\n"), "{text}");
    let omitted = read.document()["omitted_bytes"].as_u64().expect("a number");
    assert!(omitted > 0 && text.contains(" bytes omitted …\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_listed_read_and_acknowledged() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[3], Traits::default()).await;
    let read = client.run_in_background("echo one").await;
    let acknowledged = client.run_in_background("echo two").await;
    setup.wait_for_end(&read);
    setup.wait_for_end(&acknowledged);
    let list = client.call("list_jobs", json!({"state": "finished"})).await;
    assert_eq!(list.document()["jobs"][0]["id"], json!(acknowledged), "newest first");
    assert_eq!(list.text().matches("result not read yet").count(), 2, "{}", list.text());

    let result = client.call("get_result", json!({"job_id": read})).await;
    assert!(result.text().contains("succeeded") && result.text().contains("\none\n"), "{}", result.text());
    setup.wait_for_follow_up(&read, "acknowledged");
    let reply = client.call("acknowledge_jobs", json!({"job_ids": [acknowledged]})).await;
    assert_eq!(reply.document()["jobs"][0]["follow_up"]["state"], "acknowledged");
    let page = client.call("list_jobs", json!({"limit": 1})).await;
    assert_eq!(page.document()["more"], true);
    assert!(!page.text().contains("not read yet"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_waited_for_is_reported_by_its_id() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    client.call("run_command", json!({"command": "true"})).await;
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("it is there");
    ledger.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    let reply = client.call("run_command", json!({"command": "exit 3"})).await;
    assert!(reply.text().contains("is locked by another process"), "{}", reply.text());
    assert_eq!(reply.document()["in_background"], true);
    ledger.execute_batch("ROLLBACK").expect("it is free");
    let reply = client.call("get_result", json!({"job_id": reply.id()})).await;
    assert!(reply.text().contains("exit code 3"), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_creates_the_home_at_the_first_launch() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let listed = client.call("list_jobs", json!({})).await;
    assert_eq!((listed.is_error(), &listed.document()["jobs"]), (false, &json!([])));
    for (tool, arguments) in [
        ("get_result", json!({"job_id": "0123"})),
        ("read_output", json!({"job_id": "0123"})),
        ("wait_for_jobs", json!({"job_ids": ["0123"]})),
        ("kill_jobs", json!({"job_ids": ["0123"]})),
        ("acknowledge_jobs", json!({"job_ids": ["0123"]})),
    ] {
        let reply = client.call(tool, arguments).await;
        assert!(reply.is_error() && reply.text().contains("no job 0123"), "{tool}: {}", reply.text());
    }
    assert!(!setup.home.path().exists());
    client.call("run_command", json!({"command": "true"})).await;
    assert_eq!(
        client.call("list_jobs", json!({})).await.document()["jobs"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_with_a_key_runs_the_command_once() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let (gate, file) = (setup.home.scratch().join("gate"), setup.home.scratch().join("ran"));
        let command = format!(
            "echo ran >> '{}'; until [ -e '{}' ]; do sleep 0.02; done; echo through",
            file.display(),
            gate.display()
        );
        let arguments = json!({"command": command, "key": "k", "run_in_background": true});
        let first = client.call("run_command", arguments.clone()).await;
        let again = client.call("run_command", arguments.clone()).await;
        assert_eq!((again.id(), &again.document()["in_background"]), (first.id(), &json!(true)));
        assert_eq!(again.document()["job"]["key"], "k");

        let other = client.call("run_command", json!({"command": "true", "key": "k"})).await;
        assert!(
            other.is_error() && other.text().contains("was launched with a different command"),
            "{other:?}"
        );

        std::fs::write(&gate, "").expect("the gate opens");
        setup.wait_for_follow_up(&first.id(), "pending");
        let repeated = client.call("run_command", arguments).await;
        assert_eq!((repeated.id(), &repeated.document()["in_background"]), (first.id(), &json!(false)));
        assert!(repeated.text().contains("through"), "{}", repeated.text());
        setup.wait_for_follow_up(&first.id(), "acknowledged");
        assert_eq!(std::fs::read_to_string(&file).expect("it ran"), "ran\n");
    }
}
