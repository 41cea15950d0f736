//! Invalid arguments return errors that a model can act on.

use std::time::Duration;

use rmcp::ServiceError;
use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn errors_state_what_is_wrong_and_what_to_do() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    for (tool, arguments, words) in [
        ("run_command", json!({}), ["missing field `command`", "input schema"]),
        ("run_command", json!({"command": "  "}), ["command is empty", "give a shell script as command"]),
        ("run_command", json!({"command": "true", "wait_ms": "5s"}), ["argument wait_ms", "without quotes"]),
        (
            "run_command",
            json!({"command": "true", "timeout": "5000"}),
            ["argument wait_ms", "without quotes"],
        ),
        ("run_command", json!({"command": "true", "wait_ms": -1}), ["argument wait_ms", "-1"]),
        ("run_command", json!({"command": ["true"]}), ["argument command", "expected a string"]),
        (
            "run_command",
            json!({"command": "true", "kill_after_ms": 9_000_000_000_u64}),
            ["kill_after_ms is 9000000000", "0 for no limit"],
        ),
        (
            "run_command",
            json!({"command": "true", "env": {"PORT": 80}}),
            ["argument env.PORT", "expected a string"],
        ),
        ("run_command", json!({"command": "true", "env": ["A=1"]}), ["argument env", "expected a map"]),
        ("run_command", json!({"command": "true", "env": {"A\0": "1"}}), ["not a valid name or value", "A"]),
        ("run_command", json!({"command": "true", "env": {"A": "1\0"}}), ["not a valid name or value", "A"]),
        (
            "run_command",
            json!({"command": "true", "env": {"A=B": "1"}}),
            ["not a valid name or value", "A=B"],
        ),
        ("run_command", json!({"command": "echo \0"}), ["NUL", "error"]),
        (
            "run_command",
            json!({"command": "true", "cwd": "/no/such"}),
            ["/no/such", "existing directory as cwd"],
        ),
        ("read_output", json!({"job_id": "x y"}), ["\"x y\" is not a job id", "list_jobs"]),
        ("read_output", json!({"job_id": "0123456789ab"}), ["no job 0123456789ab", "list_jobs"]),
        ("read_output", json!({"job_id": "0", "filter": "("}), ["not a regular expression", "backslashes"]),
        ("read_output", json!({"job_id": "0", "max_chars": 1}), ["max_chars is 1", "100 to 16000"]),
        ("wait_for_jobs", json!({"job_ids": []}), ["job_ids is empty", "list_jobs"]),
        ("wait_for_jobs", json!({"job_ids": ""}), ["job_ids is empty", "list_jobs"]),
        ("wait_for_jobs", json!({"job_ids": 5}), ["job_ids is 5", "in quotes"]),
        ("wait_for_jobs", json!({"job_ids": [5]}), ["argument job_ids[0]", "expected a string"]),
        ("wait_for_jobs", json!({}), ["missing field `job_ids`", "input schema"]),
        ("kill_jobs", json!({"job_ids": vec!["0"; 21]}), ["job_ids has 21 ids", "at most 20"]),
        ("read_output", json!({"job_ids": ["0", "1"]}), ["reads one job", "one job_id"]),
        ("read_output", json!({}), ["reads one job", "one job_id"]),
        ("wait_for_jobs", json!({"job_ids": ["0"], "mode": "both"}), ["mode is \"both\"", "any: true"]),
        ("list_jobs", json!({"limit": 1000}), ["limit is 1000", "1 to 50"]),
        ("list_jobs", json!({"all_sessions": true}), ["only the jobs of your session", "--all-sessions"]),
        ("kill_jobs", json!({"job_ids": ["0123456789ab"]}), ["no job 0123456789ab", "list_jobs"]),
    ] {
        let reply = client.call(tool, arguments.clone()).await;
        assert!(reply.is_error(), "{tool} {arguments}");
        for word in words {
            assert!(reply.text().contains(word), "{tool} {arguments}: {}", reply.text());
        }
    }
    assert!(setup.homing().list(&homing::ListOptions::default()).expect("a list").is_empty(), "nothing ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_models_know_from_other_tools_wait_and_never_kill() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    for name in ["timeout", "timeout_ms", "yield_time_ms"] {
        let mut arguments = json!({"cmd": setup.marked("exec sleep MARK"), "workdir": setup.home.scratch()});
        arguments[name] = json!(1);
        let reply = client.call("run_command", arguments).await;
        assert!(reply.text().starts_with("Job ") && !reply.text().contains("Ignored"), "{}", reply.text());
        let job = setup.job(&reply.id());
        assert_eq!(job.limits.timeout, Some(Duration::from_secs(3_600)), "{name}");
        assert_eq!(job.cwd, setup.home.scratch().canonicalize().expect("it is there"), "{name}");
    }
    let id = client.run_in_background("echo known").await;
    setup.wait_for_end(&id);
    for arguments in [
        json!({"task_id": id, "block": false, "timeout": 5}),
        json!({"bash_id": id}),
        json!({"job_id": id, "mode": "all"}),
        json!({"job_ids": id}),
        json!({"job_ids": format!("[\"{id}\"]"), "wait_ms": null}),
    ] {
        let reply = client.call("wait_for_jobs", arguments.clone()).await;
        assert_eq!(reply.output(), "known\n", "{arguments}: {}", reply.text());
        let reply = client.call("read_output", arguments.clone()).await;
        assert_eq!(reply.output(), "known\n", "{arguments}: {}", reply.text());
    }
    // Longer than allowed: the call waits as long as it may.
    let reply = client.call("run_command", json!({"command": "echo quick", "timeout": 86_400_000})).await;
    assert_eq!(reply.output(), "quick\n");
    setup.kill_all_jobs();
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_arguments_are_named_and_ignored() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let reply = client.call("run_command", json!({"command": "echo ran", "sandbox": true, "x\ny": 1})).await;
    assert!(reply.text().starts_with("Ignored: sandbox, x ⏎ y.\nexit code 0"), "{}", reply.text());
    let mut many = json!({"command": "echo ran"});
    for number in 0..10_000 {
        many[format!("key {number} {}", "long ".repeat(20))] = json!({"nested": [number]});
    }
    let reply = client.call("run_command", many).await;
    assert!(
        reply.text().lines().next().is_some_and(|line| line.ends_with(" and 9990 more.")),
        "{}",
        reply.text()
    );
    assert!(reply.text().len() < 1_000 && reply.output() == "ran\n", "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_arguments_are_answered() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let huge = "x".repeat(4 << 20);
    for (arguments, words) in [
        (json!({"command": format!("echo ran # {huge}")}), "ran"),
        (json!({"command": "echo ran", "description": huge}), "name"),
        (json!({"command": "echo ran", "cwd": format!("/{huge}")}), "cannot run in /xxx"),
        (json!({"command": "echo ran", "env": {"A": huge}}), "rgument list too long"),
        (json!({"command": "echo ran", "wait_ms": huge}), "argument wait_ms"),
        (json!({"command": "echo ran", (huge.clone()): 1}), "Ignored: xxx"),
        (json!({"command": "echo ran", "env": {(huge.clone()): "1"}}), "rgument list too long"),
    ] {
        let reply = client.call("run_command", arguments).await;
        assert!(
            reply.text().chars().count() <= 16_000 && reply.text().contains(words),
            "{words}: {}",
            reply.text()
        );
    }
    for tool in ["wait_for_jobs", "read_output", "kill_jobs"] {
        let reply = client.call(tool, json!({"job_ids": huge})).await;
        assert!(reply.is_error() && reply.text().len() < 5_000, "{tool}: {}", reply.text());
    }
    let alive = client.call("list_jobs", json!({})).await;
    assert!(!alive.is_error(), "{}", alive.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_key_in_the_metadata_launches_nothing() {
    let setup = Setup::new();
    for key in [json!(7), json!(""), json!("a\nb"), json!("x".repeat(10_000))] {
        let traits = Traits { meta: Some(json!({"homing/key": key})), ..Traits::default() };
        let client = Client::connect(&setup, CONNECTIONS[1], traits).await;
        let reply = client.call("run_command", json!({"command": "true"})).await;
        assert!(reply.is_error() && reply.text().contains("key"), "{}", reply.text());
    }
    assert!(setup.homing().list(&homing::ListOptions::default()).expect("a list").is_empty(), "nothing ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_cannot_be_acknowledged() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let id = client.run_in_background(&setup.marked("exec sleep MARK")).await;
    let reply = client.call("acknowledge_jobs", json!({"job_ids": [id]})).await;
    assert!(reply.is_error() && reply.text().contains(&id), "{}", reply.text());
    setup.kill_all_jobs();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tool_is_an_invalid_params_error() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let Err(ServiceError::McpError(error)) = client.try_call("run", json!({})).await else {
            panic!("it was called");
        };
        assert_eq!(error.code.0, -32602);
        assert!(error.message.contains("run_command"), "{}", error.message);
    }
}
