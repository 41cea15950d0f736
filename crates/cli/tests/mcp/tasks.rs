//! The Tasks extension: a task is a job, stored only in the ledger.

use rmcp::ServiceError;
use rmcp::model::{
    CallToolResponse, CancelTaskParams, GetTaskParams, TaskPayload, TaskStatus, UpdateTaskParams,
};
use serde_json::json;
use testkit::wait_until;

use crate::client::{CONNECTIONS, Client, Revision, Traits, Transport};
use crate::server::Setup;

fn able() -> Traits {
    Traits { tasks: true, ..Traits::default() }
}

/// Runs a command that takes longer than the call. Returns the id of its task.
async fn begin(client: &Client, command: &str) -> String {
    let arguments = json!({"command": command, "wait_ms": 0});
    match client.try_call("run_command", arguments).await.expect("an answer") {
        CallToolResponse::Task(created) => {
            assert_eq!(created.task.status, TaskStatus::Working);
            created.task.task_id
        }
        other => panic!("no task: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_returns_its_result_with_its_final_state() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, able()).await;
        let gate = setup.home.scratch().join("gate");
        let command = format!("until [ -e '{}' ]; do sleep 0.02; done; echo built; exit 3", gate.display());
        let id = begin(&client, &command).await;
        let job = setup.job(&id);
        let task = client.service.get_task(GetTaskParams::new(id.clone())).await.expect("it is known").task;
        assert_eq!((task.task.status, task.task.ttl_ms), (TaskStatus::Working, None), "{connection:?}");
        assert_eq!(task.task.created_at, job.created_at.to_string());

        std::fs::write(&gate, "").expect("the gate opens");
        setup.wait_for_end(&id);
        let task = client.service.get_task(GetTaskParams::new(id.clone())).await.expect("it is known").task;
        let TaskPayload::Completed { result } = &task.payload else { panic!("not completed: {task:?}") };
        assert_eq!(result["isError"], true, "a failed command is a result");
        assert_eq!(result["_meta"]["homing/job"]["id"], json!(id));
        assert!(
            result["content"][0]["text"].as_str().is_some_and(|text| text.contains("built")),
            "{result:?}"
        );
        assert!(task.task.ttl_ms.is_some(), "it has a lifetime");
        setup.wait_for_follow_up(&id, "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_survives_its_server() {
    let setup = Setup::new();
    let mut client = Client::connect(&setup, CONNECTIONS[1], able()).await;
    let gate = setup.home.scratch().join("gate");
    let command = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
    let id = begin(&client, &command).await;
    client.child.take().expect("the client started it").kill().await.expect("it ends");
    drop(client);
    let next = Client::connect(&setup, CONNECTIONS[3], able()).await;
    let task = next.service.get_task(GetTaskParams::new(id.clone())).await.expect("it is known").task;
    assert_eq!(task.task.status, TaskStatus::Working);
    std::fs::write(&gate, "").expect("the gate opens");
    setup.wait_for_end(&id);
    let task = next.service.get_task(GetTaskParams::new(id)).await.expect("it is known").task;
    assert_eq!(task.task.status, TaskStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_task_stops_its_job() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, able()).await;
        let id = begin(&client, &setup.marked("exec sleep MARK")).await;
        client.service.cancel_task(CancelTaskParams::new(id.clone())).await.expect("it is accepted");
        wait_until("the job finishes", || setup.job(&id).outcome().is_some());
        let task = client.service.get_task(GetTaskParams::new(id.clone())).await.expect("it is known").task;
        assert_eq!((task.task.status, &task.payload), (TaskStatus::Cancelled, &TaskPayload::Cancelled));
        assert_eq!(setup.follow_up(&id), "suppressed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_in_time_returns_a_result_and_not_a_task() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[3], able()).await;
    let reply = client.call("run_command", json!({"command": "echo quick"})).await;
    assert!(reply.text().contains("quick"));
    let reply = client.call("run_command", json!({"command": "sleep 0.2", "run_in_background": true})).await;
    assert_eq!(reply.job()["state"], "running", "a background call returns at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_another_session_is_not_found() {
    let setup = Setup::new();
    let server = setup.serve_http(&[]);
    let session = |name: &str| Traits { meta: Some(json!({"homing/session": name})), ..able() };
    let one = Client::over_http(&server, Revision::With2026, session("chat-1")).await;
    let id = begin(&one, &setup.marked("exec sleep MARK")).await;
    // The metadata of `tasks/get` contains no session here, so the request belongs to another session.
    for id in [id.as_str(), "0123456789ab", "no task"] {
        for refused in [
            one.service.get_task(GetTaskParams::new(id)).await.map(drop),
            one.service.cancel_task(CancelTaskParams::new(id)).await.map(drop),
            one.service.update_task(UpdateTaskParams::new(id, Default::default())).await.map(drop),
        ] {
            let Err(ServiceError::McpError(error)) = refused else { panic!("{id}: {refused:?}") };
            assert_eq!(error.code.0, -32602, "{}", error.message);
        }
    }
    assert!(setup.job(&id).outcome().is_none(), "it is not stopped");
    setup.kill_all_jobs();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_task_support_gets_no_task() {
    for connection in [(Transport::Stdio, Revision::With2025), (Transport::Http, Revision::With2026)] {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let command = setup.marked("exec sleep MARK");
        let reply = client.call("run_command", json!({"command": command, "wait_ms": 0})).await;
        assert_eq!(reply.job()["state"], "running");
        let Err(ServiceError::McpError(error)) =
            client.service.get_task(GetTaskParams::new(reply.id())).await
        else {
            panic!("it was answered");
        };
        assert_eq!(error.code.0, -32021, "{}", error.message);
        setup.kill_all_jobs();
    }
}
