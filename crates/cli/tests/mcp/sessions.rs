//! A session sees its own jobs and cannot detect those of other sessions.

use serde_json::json;

use crate::client::{CONNECTIONS, Client, Revision, Traits, Transport};
use crate::server::Setup;

fn session(name: &str) -> Traits {
    Traits { meta: Some(json!({"homing/session": name})), ..Traits::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_of_one_server_cannot_see_each_other() {
    for revision in [Revision::With2025, Revision::With2026] {
        let setup = Setup::new();
        let server = setup.serve_http(&[]);
        let one = Client::over_http(&server, revision, session("chat-1")).await;
        let other = Client::over_http(&server, revision, session("chat-2")).await;
        let id = one.run_in_background(&setup.marked("echo secret; exec sleep MARK")).await;
        assert_eq!(setup.job(&id).session.as_str(), "chat-1");

        let list = other.call("list_jobs", json!({})).await;
        assert!(list.jobs().is_empty());
        let nowhere = other.result("0123456789ab").await.text().to_owned();
        for (tool, arguments) in [
            ("get_result", json!({"job_id": id})),
            ("read_output", json!({"job_id": id})),
            ("wait_for_jobs", json!({"job_ids": [id]})),
            ("kill_jobs", json!({"job_ids": [id]})),
            ("acknowledge_jobs", json!({"job_ids": [id]})),
            ("get_result", json!({"job_id": &id[..4]})),
        ] {
            let reply = other.call(tool, arguments).await;
            assert!(reply.is_error(), "{tool}: {}", reply.text());
            let named = if reply.text().contains(&id) { &id[..] } else { &id[..4] };
            assert_eq!(reply.text().replace(named, "0123456789ab"), nowhere, "{tool}");
        }
        assert!(setup.job(&id).outcome().is_none(), "it is not stopped");
        let own = one.call("kill_jobs", json!({"job_ids": [id]})).await;
        assert!(!own.is_error(), "{}", own.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_for_all_sessions_does_not_acknowledge_jobs_of_other_sessions() {
    let setup = Setup::new();
    let server = setup.serve_http(&["--all-sessions"]);
    let one = Client::over_http(&server, Revision::With2026, session("chat-1")).await;
    let other = Client::over_http(&server, Revision::With2026, session("chat-2")).await;
    let id = one.run_in_background("echo seen").await;
    let own = other.call("list_jobs", json!({})).await;
    assert!(own.jobs().is_empty(), "unless it asks for all");
    let all = other.call("list_jobs", json!({"all_sessions": true})).await;
    assert_eq!(all.jobs()[0]["id"], json!(id));
    let reply = other.call("wait_for_jobs", json!({"job_ids": [id]})).await;
    assert!(reply.text().contains("seen"), "{}", reply.text());
    let reply = other.result(&id).await;
    assert!(!reply.is_error());
    assert_eq!(setup.follow_up(&id), "pending", "its own session has not read it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_option_comes_before_the_metadata_of_requests() {
    let codex = || Traits {
        meta: Some(json!({"threadId": "t-1"})),
        name: Some("codex-mcp-client"),
        environment: &[("CODEX_THREAD_ID", "outer")],
        ..Traits::default()
    };
    let cases = [
        (Transport::Stdio, codex(), ("t-1", Some("codex"))),
        (Transport::Stdio, Traits { meta: None, ..codex() }, ("outer", Some("codex"))),
        (Transport::Http, Traits { meta: None, ..codex() }, ("default", None)),
        (Transport::Http, codex(), ("t-1", Some("codex"))),
        (Transport::Stdio, Traits { arguments: &["--session", "mine"], ..codex() }, ("mine", None)),
        (
            Transport::Stdio,
            Traits { environment: &[("HOMING_SESSION", "configured")], ..codex() },
            ("configured", None),
        ),
    ];
    for (transport, traits, (session, harness)) in cases {
        let setup = Setup::new();
        let client = Client::connect(&setup, (transport, Revision::With2025), traits).await;
        let id = client.run_in_background("true").await;
        let job = setup.job(&id);
        assert_eq!((job.session.as_str(), job.harness.as_deref()), (session, harness), "{transport:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_an_id_finds_the_job_of_the_session() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let id = client.run_in_background("true").await;
    let reply = client.call("wait_for_jobs", json!({"job_ids": [&id[..6], id]})).await;
    assert_eq!(reply.jobs().len(), 1, "named twice, shown once");
}
