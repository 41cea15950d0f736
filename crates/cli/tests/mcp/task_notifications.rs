//! `notifications/tasks`: a client that listens receives the result of its task.

use serde_json::{Value, json};
use testkit::wait_until;

use crate::client::{CONNECTIONS, Client, Traits, Transport};
use crate::raw::{Raw, Stream, TRANSPORTS};
use crate::server::Setup;

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
const TASKS: &str = "notifications/tasks";

/// Opens a stream for tasks. Returns the filter that the server agrees to.
#[track_caller]
fn listen(client: &mut Raw, filter: Value) -> (Stream, Value) {
    let stream = client.open("subscriptions/listen", json!({"notifications": filter}));
    let agreed = stream.notification(ACKNOWLEDGED)["notifications"].clone();
    (stream, agreed)
}

#[test]
fn a_listening_client_receives_the_result_of_its_task() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1").with_tasks();
        let gate = setup.home.scratch().join("gate");
        let id = client
            .launch(&format!("until [ -e '{}' ]; do sleep 0.02; done; echo built; exit 3", gate.display()));
        client.switch_to("chat-2");
        let foreign = client.launch("true");
        client.switch_to("chat-1");
        let filter = json!({"taskIds": [id, foreign, "0123456789ab", id], "toolsListChanged": true});
        let (stream, agreed) = listen(&mut client, filter);
        assert_eq!(agreed, json!({"taskIds": [id]}), "only what the session may see and the server offers");
        std::fs::write(&gate, "").expect("the gate opens");
        let mut task = stream.notification(TASKS);
        assert_eq!((&task["taskId"], &task["status"]), (&json!(id), &json!("completed")), "{task}");
        assert_eq!(task["result"]["isError"], true);
        let text = task["result"]["content"][0]["text"].as_str().expect("text");
        assert!(text.contains("built"), "{text}");
        assert_eq!(setup.follow_up(&id), "pending", "a notification acknowledges nothing");
        let mut got = client.result("tasks/get", json!({"taskId": id}));
        setup.wait_for_follow_up(&id, "acknowledged");
        // The frame of the output has a new id each time.
        for task in [&mut task, &mut got] {
            task["result"]["content"].take();
            task.as_object_mut().expect("an object").remove("_meta");
        }
        got.as_object_mut().expect("an object").remove("resultType");
        assert_eq!(task, got, "it is what tasks/get returns");
        assert!(stream.is_silent());
    }
}

#[test]
fn a_task_that_has_ended_before_is_reported_at_once() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1").with_tasks();
        let ended = client.launch("true");
        setup.wait_for_end(&ended);
        let killed = client.launch(&setup.marked("exec sleep MARK"));
        let (stream, _) = listen(&mut client, json!({"taskIds": [ended, killed]}));
        assert_eq!(stream.notification(TASKS)["taskId"], json!(ended));
        client.result("tasks/cancel", json!({"taskId": killed}));
        let task = stream.notification(TASKS);
        assert_eq!((&task["taskId"], &task["status"]), (&json!(killed), &json!("cancelled")), "{task}");
        assert!(task.get("result").is_none());
    }
}

#[test]
fn a_client_without_tasks_and_too_many_tasks_are_refused() {
    for transport in TRANSPORTS {
        let setup = Setup::new();
        let mut client = Raw::connect(&setup, transport, "chat-1");
        let listen = |ids: Value| json!({"notifications": {"taskIds": ids}});
        let error = client.error("subscriptions/listen", listen(json!(["0123456789ab"])));
        assert_eq!(error["code"], -32021);
        let required = &error["data"]["requiredCapabilities"]["extensions"];
        assert!(required["io.modelcontextprotocol/tasks"].is_object(), "{error}");
        let mut client = client.with_tasks();
        let many: Vec<String> = (0..101).map(|number| format!("{number:012}")).collect();
        let error = client.error("subscriptions/listen", listen(json!(many)));
        assert_eq!((&error["code"], &error["data"]["max"]), (&json!(-32025), &json!(100)), "{error}");
        for invalid in [json!({}), json!({"notifications": 1}), listen(json!("x")), listen(json!([1]))] {
            assert_eq!(client.error("subscriptions/listen", invalid)["code"], -32602);
        }
    }
}

#[test]
fn a_client_that_asks_for_nothing_offered_gets_a_silent_stream() {
    let setup = Setup::new();
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1");
    let (stream, agreed) = listen(&mut client, json!({"toolsListChanged": true}));
    assert_eq!(agreed, json!({}));
    assert!(!setup.home.path().exists(), "it needs no home");
    assert_eq!(client.close(), Some(0));
    let last = stream.next();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(stream.id), &json!("complete")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_task_that_its_client_listens_to_is_not_delivered_meanwhile() {
    let setup = Setup::new();
    let (kept, delivered) = (setup.home.scratch().join("kept"), setup.home.scratch().join("delivered"));
    setup.configure(&format!(
        "[sinks.keep]\ncommand = [\"touch\", {kept:?}]\n[sinks.other]\ncommand = [\"touch\", {delivered:?}]\n\n\
         [[routes]]\nsession = \"chat-2\"\nsink = \"other\"\n[[routes]]\nsink = \"keep\"\n"
    ));
    let mut client = Raw::connect(&setup, Transport::Stdio, "chat-1").with_tasks();
    let gate = setup.home.scratch().join("gate");
    let id = client.launch(&format!("until [ -e '{}' ]; do sleep 0.02; done", gate.display()));
    let (stream, _) = listen(&mut client, json!({"taskIds": [id]}));
    std::fs::write(&gate, "").expect("the gate opens");
    stream.notification(TASKS);
    // When the monitor has delivered a later job, it has already skipped this one.
    let chat = Traits { arguments: &["--session", "chat-2"], ..Traits::default() };
    Client::connect(&setup, CONNECTIONS[0], chat).await.run_in_background("true").await;
    wait_until("the later job is delivered", || delivered.exists());
    client.result("tasks/get", json!({"taskId": id}));
    setup.wait_for_follow_up(&id, "acknowledged");
    wait_until("the monitor exits", || setup.homing().active_monitor().expect("known").is_none());
    assert!(!kept.exists(), "it was notified anyway");
}
