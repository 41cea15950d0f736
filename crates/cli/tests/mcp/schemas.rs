//! What models read before they call a tool: a contract with a size, in golden files.

use std::time::Duration;

use rmcp::model::{PaginatedRequestParams, Tool};
use serde_json::{Value, json};

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

/// Largest list of tools as compact JSON with the instructions, in bytes. That is less than 1,500 tokens (o200k_base).
const MAX_LIST_BYTES: usize = 5_000;

/// Largest size of a short result beyond its output, in bytes.
const MAX_RESULT_BYTES: usize = 200;

async fn tools(setup: &Setup, traits: Traits) -> (Vec<Tool>, String) {
    let client = Client::connect(setup, CONNECTIONS[0], traits).await;
    let tools =
        client.service.list_tools(Some(PaginatedRequestParams::default())).await.expect("tools").tools;
    let info = client.service.peer_info().expect("it sent its info");
    (tools, info.instructions.clone().expect("instructions"))
}

fn names(tools: &[Tool]) -> Vec<&str> {
    tools.iter().map(|tool| tool.name.as_ref()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_and_instructions_match_their_golden_files_and_their_size() {
    let setup = Setup::new();
    let (tools, instructions) = tools(&setup, Traits::default()).await;
    assert!(tools.iter().all(|tool| tool.output_schema.is_none()));
    let list = serde_json::to_string(&tools).expect("JSON");
    let size = list.len() + instructions.len();
    assert!(size <= MAX_LIST_BYTES, "{size} bytes");
    insta::assert_snapshot!("instructions", instructions);
    insta::assert_json_snapshot!("tools", tools);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_tools_and_arguments_are_listed_only_where_they_apply() {
    let usual = ["run_command", "wait_for_jobs", "read_output", "list_jobs", "kill_jobs"];
    let setup = Setup::new();
    assert_eq!(names(&tools(&setup, Traits::default()).await.0), usual);
    let sees_all = Traits { arguments: &["--all-sessions"], ..Traits::default() };
    let (listed, _) = tools(&setup, sees_all).await;
    assert!(listed[3].input_schema["properties"]["all_sessions"].is_object(), "{:?}", listed[3]);
    // Before and after the home exists.
    setup.configure("[sinks.app]\ncommand = [\"true\"]\nacknowledge = \"explicit\"\n");
    for _ in 0..2 {
        let (listed, _) = tools(&setup, Traits::default()).await;
        assert_eq!(names(&listed), [&usual[..], &["acknowledge_jobs"]].concat());
        setup.homing();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listed_argument_is_read() {
    let setup = Setup::new();
    setup.configure("[sinks.app]\ncommand = [\"true\"]\nacknowledge = \"explicit\"\n");
    let traits = Traits { arguments: &["--all-sessions"], ..Traits::default() };
    let (tools, _) = tools(&setup, traits.clone()).await;
    let client = Client::connect(&setup, CONNECTIONS[0], traits).await;
    for tool in tools {
        for (argument, schema) in tool.input_schema["properties"].as_object().expect("arguments") {
            // No argument has this type.
            let wrong = if schema["type"] == "object" { json!("x") } else { json!({"a": 1}) };
            let mut arguments = json!({"command": "true", "job_ids": ["0123456789ab"]});
            arguments[argument] = wrong;
            let reply = client.call(&tool.name, arguments).await;
            let named =
                reply.text().contains(&format!("argument {argument}")) || reply.text().contains("job_ids is");
            assert!(reply.is_error() && named, "{} {argument}: {}", tool.name, reply.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_result_has_its_size_and_its_words() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    for (command, output, words) in [
        ("echo ok", "ok\n", "exit code 0 after "),
        ("true", "", "exit code 0 after "),
        ("echo no; exit 101", "no\n", "FAILED: exit code 101 after "),
    ] {
        let reply = client.call("run_command", json!({"command": command})).await;
        let text = reply.text();
        assert!(text.starts_with(words), "{text}");
        assert!(text.len() - output.len() <= MAX_RESULT_BYTES, "{} bytes: {text}", text.len());
        assert_eq!(reply.0.structured_content, None::<Value>);
    }
    let reply = client.call("run_command", json!({"command": "sleep 60", "kill_after_ms": 50})).await;
    let id = reply.id();
    assert_eq!(reply.text(), format!("FAILED: stopped at its time limit of 50ms (job {id})\nNo output.\n"));
    assert_eq!(setup.job(&id).limits.timeout, Some(Duration::from_millis(50)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_and_revision_lists_the_same_tools() {
    let mut seen = Vec::new();
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let page = client.service.list_tools(Some(PaginatedRequestParams::default())).await.expect("tools");
        seen.push(json!(page.tools));
        let info = client.service.peer_info().expect("it sent its info");
        assert!(info.capabilities.supports_tasks(), "{connection:?}");
        assert_eq!(info.server_info.as_ref().map(|server| server.name.as_str()), Some("homing"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}
