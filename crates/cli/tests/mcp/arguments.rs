//! Invalid arguments return errors that a model can act on.

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
        (
            "run_command",
            json!({"command": "true", "timeout": 5}),
            ["unknown field `timeout`", "`timeout_ms`"],
        ),
        ("run_command", json!({"command": "true", "wait_ms": "5s"}), ["argument wait_ms", "milliseconds"]),
        (
            "run_command",
            json!({"command": "true", "wait_ms": 600_001}),
            ["wait_ms is 600001", "wait_for_jobs"],
        ),
        ("run_command", json!({"command": "true", "timeout_ms": 0}), ["timeout_ms is 0", "or leave it out"]),
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
        (
            "wait_for_jobs",
            json!({"job_ids": ["0"], "mode": "both"}),
            ["mode: unknown variant `both`", "`all` or `any`"],
        ),
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
