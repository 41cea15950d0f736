//! A waiting request reports progress. Cancelling it stops the wait, never the job.

use std::time::Duration;

use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_reports_progress() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let arguments = json!({"command": "sleep 0.2; echo done", "wait_ms": 60_000});
        let reply = client.call("run_command", arguments).await;
        assert!(reply.text().contains("done"), "{}", reply.text());
        let progress = client.service.service().progress.lock().expect("no panic").clone();
        let first = progress.first().unwrap_or_else(|| panic!("{connection:?}: no progress"));
        assert!((0.0..60.0).contains(&first.progress) && first.total == Some(60.0), "{first:?}");
        assert!(first.message.as_deref().is_some_and(|text| text.starts_with("still running")), "{first:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_request_stops_the_wait_and_not_the_job() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let gate = setup.home.scratch().join("gate");
        let command = format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display());
        let call = client.try_call("run_command", json!({"command": command, "wait_ms": 600_000}));
        let progress = async {
            while client.service.service().progress.lock().expect("no panic").is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Dropping the call sends the cancellation.
        tokio::select! {
            answer = call => panic!("it was answered: {answer:?}"),
            () = progress => {}
        }
        let list = client.call("list_jobs", json!({})).await;
        let job = &list.jobs()[0];
        assert_eq!(job["state"], "running", "{connection:?}");
        let id = job["id"].as_str().expect("an id").to_owned();
        std::fs::write(&gate, "").expect("the gate opens");
        setup.wait_for_end(&id);
        client.call("list_jobs", json!({})).await;
        assert_eq!(setup.follow_up(&id), "pending", "{connection:?}: the session has not read it");
    }
}
