//! Concurrent calls do not block each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

const CALLS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_calls_at_once_are_all_answered() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Arc::new(Client::connect(&setup, connection, Traits::default()).await);
        let calls = (0..CALLS).map(|number| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let command = format!("echo number {number}; exit {number}");
                let reply = client.call("run_command", json!({"command": command})).await;
                assert!(reply.text().contains(&format!("\nnumber {number}\n")), "{}", reply.text());
                assert_eq!(reply.job()["exit_code"], number);
                reply.id()
            })
        });
        let calls: Vec<_> = calls.collect();
        for call in calls {
            setup.wait_for_follow_up(&call.await.expect("it is answered"), "acknowledged");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_while_many_others_wait() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Arc::new(Client::connect(&setup, connection, Traits::default()).await);
        let gate = setup.home.scratch().join("gate");
        let id = client
            .run_in_background(&format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display()))
            .await;
        let waits: Vec<_> = (0..100)
            .map(|_| {
                let (client, id) = (Arc::clone(&client), id.clone());
                tokio::spawn(async move {
                    let arguments = json!({"job_ids": [id], "wait_ms": 600_000});
                    client.call("wait_for_jobs", arguments).await.jobs()[0]["succeeded"].clone()
                })
            })
            .collect();
        let progress = &client.service.service().progress;
        while progress.lock().expect("no panic").len() < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let began = Instant::now();
        let reply = client.call("run_command", json!({"command": "echo quick"})).await;
        assert!(reply.text().contains("quick"));
        assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
        assert!(waits.iter().all(|wait| !wait.is_finished()), "they still wait");
        std::fs::write(&gate, "").expect("the gate opens");
        for wait in waits {
            assert_eq!(wait.await.expect("it is answered"), true);
        }
    }
}
