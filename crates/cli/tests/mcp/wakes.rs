//! A job launched over MCP is followed up like any other, and the answer describes this correctly.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rmcp::model::{CallToolResponse, GetTaskParams, TaskStatus};
use serde_json::json;
use testkit::wait_until;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

/// How the last line of an answer begins, by whether the session is notified.
const NOTIFIED: &str = "You will be notified here with the result.";
const NOT_NOTIFIED: &str = "Nobody will notify you. Before you finish, call wait_for_jobs ";

#[tokio::test(flavor = "multi_thread")]
async fn with_a_route_to_the_agent_the_answer_forbids_polling_and_the_agent_is_notified() {
    let setup = Setup::new();
    let kept = setup.home.scratch().join("kept");
    let script = setup.home.scratch().join("keep.sh");
    std::fs::write(&script, format!("cat > '{0}.new' && mv '{0}.new' '{0}'\n", kept.display()))
        .expect("written");
    setup.configure(&format!(
        "[sinks.keep]\ncommand = [\"sh\", {script:?}]\n\n[[routes]]\nsession = \"chat-*\"\nsink = \"keep\"\n"
    ));
    let chat = Traits { arguments: &["--session", "chat-1"], ..Traits::default() };
    let client = Client::connect(&setup, CONNECTIONS[0], chat).await;
    let reply = client.call("run_command", json!({"command": "exit 3", "run_in_background": true})).await;
    assert!(reply.text().contains("You will be notified here with the result"), "{}", reply.text());
    wait_until("the agent is notified", || kept.exists());
    let wake = std::fs::read_to_string(&kept).expect("it is kept");
    assert!(wake.contains(&reply.id()) && wake.contains("exit code 3"), "{wake}");
    setup.wait_for_follow_up(&reply.id(), "acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_others_can_write_notifies_nobody_until_it_is_fixed() {
    let setup = Setup::new();
    setup.configure("[sinks.keep]\ncommand = [\"true\"]\n\n[[routes]]\nsink = \"keep\"\n");
    let file = setup.home.scratch().join("homing/config.toml");
    let set_mode = |mode| std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("it is set");
    set_mode(0o666);
    // Without a configuration, the preset of this harness would be used.
    let environment = &[("CODEX_THREAD_ID", "0199a213-81c0-7800-8aa1-bbab2a035a53")];
    let client = Client::connect(&setup, CONNECTIONS[1], Traits { environment, ..Traits::default() }).await;
    let command = json!({"command": "true", "run_in_background": true});
    let reply = client.call("run_command", command.clone()).await;
    assert!(reply.text().contains("Nobody will notify you"), "{}", reply.text());
    assert_eq!(setup.job(&reply.id()).sink, None);
    set_mode(0o600);
    let reply = client.call("run_command", command).await;
    assert!(reply.last_line().starts_with("You will be notified"), "{}", reply.text());
    wait_until("the agent is notified", || setup.follow_up(&reply.id()) == "acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_states_when_an_open_session_is_notified() {
    let setup = Setup::new();
    setup.configure("agents = [\"claude-code\"]\nmonitor.autostart = true\n");
    let settings = setup.home.scratch().join(".claude/settings.json");
    let in_terminal = &[
        ("CLAUDE_CODE_SESSION_ID", "5f0c3a52-6a86-4c53-8d8e-0f5f9f6f1c11"),
        ("CLAUDE_CODE_ENTRYPOINT", "cli"),
        ("CLAUDE_CONFIG_DIR", "/nowhere"),
    ];
    let traits = Traits { environment: in_terminal, ..Traits::default() };
    let client = Client::connect(&setup, CONNECTIONS[0], traits).await;
    let command =
        json!({"command": "sleep MARK".replace("MARK", setup.home.mark()), "run_in_background": true});
    let reply = client.call("run_command", command.clone()).await;
    let text = reply.text();
    assert!(
        reply.last_line().starts_with("You will be notified only after this session is closed. If"),
        "{text}"
    );
    assert!(text.contains("wait_for_jobs"), "{text}");
    // The hook of homing setup notifies it while it is open.
    std::fs::create_dir(settings.parent().expect("a folder")).expect("the folder is made");
    std::fs::write(settings, r#"{"command": "homing hook claude-code --wait"}"#).expect("written");
    let reply = client.call("run_command", command).await;
    assert!(reply.last_line().starts_with(NOTIFIED), "{}", reply.text());
    setup.kill_all_jobs();
    setup.homing().list(&homing::ListOptions::default()).expect("a list").iter().for_each(|job| {
        setup.wait_for_end(job.id.as_str());
        setup.homing().acknowledge(&[job.id]).expect("it is acknowledged");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_the_session_read_is_not_delivered_again() {
    let setup = Setup::new();
    let kept = setup.home.scratch().join("kept");
    setup.configure(&format!(
        "[sinks.keep]\ncommand = [\"touch\", {kept:?}]\n\n[[routes]]\nsink = \"keep\"\n"
    ));
    let client = Client::connect(&setup, CONNECTIONS[3], Traits::default()).await;
    let reply = client.call("run_command", json!({"command": "sleep 0.3; echo read"})).await;
    assert!(reply.text().contains("read"), "{}", reply.text());
    setup.wait_for_follow_up(&reply.id(), "acknowledged");
    // The monitor exits when nothing is left to deliver.
    wait_until("the monitor exits", || setup.homing().active_monitor().expect("known").is_none());
    assert!(!kept.exists(), "it was notified anyway");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_its_client_polls_is_not_delivered_again() {
    let setup = Setup::new();
    let (kept, delivered) = (setup.home.scratch().join("kept"), setup.home.scratch().join("delivered"));
    setup.configure(&format!(
        "[sinks.keep]\ncommand = [\"touch\", {kept:?}]\n[sinks.other]\ncommand = [\"touch\", {delivered:?}]\n\n\
         [[routes]]\nsession = \"chat-2\"\nsink = \"other\"\n[[routes]]\nsink = \"keep\"\n"
    ));
    let client = Client::connect(&setup, CONNECTIONS[3], Traits { tasks: true, ..Traits::default() }).await;
    let arguments = json!({"command": "sleep 0.5", "wait_ms": 0});
    let CallToolResponse::Task(created) = client.try_call("run_command", arguments).await.expect("an answer")
    else {
        panic!("no task");
    };
    let id = created.task.task_id;
    setup.wait_for_end(&id);
    // When the monitor has delivered a later job, it has already skipped this one.
    let chat = Traits { arguments: &["--session", "chat-2"], ..Traits::default() };
    Client::connect(&setup, CONNECTIONS[0], chat).await.run_in_background("true").await;
    wait_until("the later job is delivered", || delivered.exists());
    let task = client.service.get_task(GetTaskParams::new(id.clone())).await.expect("it is known").task;
    assert_eq!(task.status(), TaskStatus::Completed);
    setup.wait_for_follow_up(&id, "acknowledged");
    wait_until("the monitor exits", || setup.homing().active_monitor().expect("known").is_none());
    assert!(!kept.exists(), "it was notified anyway");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_route_the_answer_says_to_wait() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let reply = client.call("run_command", json!({"command": "true", "run_in_background": true})).await;
    assert!(
        reply.text().contains("Nobody will notify you") && reply.text().contains("wait_for_jobs"),
        "{}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_notification_does_not_count_as_notifying_the_agent() {
    let setup = Setup::new();
    setup.configure(
        "[sinks.desk]\ndesktop = true\n\n[[routes]]\nsink = \"desk\"\n\n[monitor]\nautostart = false\n",
    );
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let reply = client.call("run_command", json!({"command": "true", "run_in_background": true})).await;
    assert!(reply.last_line().starts_with(NOT_NOTIFIED), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_configuration_takes_effect_with_the_next_call() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let command = json!({"command": "true", "run_in_background": true});
    let before = client.call("run_command", command.clone()).await;
    assert!(before.last_line().starts_with(NOT_NOTIFIED), "{}", before.text());
    setup.configure("[sinks.keep]\ncommand = [\"true\"]\n\n[[routes]]\nsink = \"keep\"\n");
    let after = client.call("run_command", command.clone()).await;
    assert!(after.last_line().starts_with(NOTIFIED), "{}", after.text());
    // The monitor that was started uses it too.
    setup.wait_for_follow_up(&after.id(), "acknowledged");
    setup.configure("sinks = 3\n");
    let wrong = client.call("run_command", command).await;
    assert!(wrong.is_error() && wrong.text().contains("config.toml"), "{}", wrong.text());
}
