//! opencode. It does not export the session id to its shell, so the job names the session.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use testkit::wait_until;

use crate::mcp_round::launches_and_ends_its_turn;
use crate::offline::offline;
use crate::stage::{FINISHES_AT_GATE, Stage};

#[test]
fn opencode_is_resumed_in_the_session_that_the_job_names() {
    offline("opencode::opencode_is_resumed_in_the_session_that_the_job_names", || {
        let Some(stage) = Stage::new("opencode", "opencode", "opencode") else { return };
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        let turn = stage.command("opencode").args(["run", "--format", "json", "HELLO there"]).output();
        let turn = turn.expect("it runs");
        let text = String::from_utf8_lossy(&turn.stdout);
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let session = events.filter_map(|event| Some(event["sessionID"].as_str()?.to_owned())).next();
        let session = session.unwrap_or_else(|| panic!("no session: {turn:?}"));
        // Launch from another directory: the session must be resumed in its own directory.
        let script = "echo greetings-$((40 + 2))";
        let launched = stage.homing(&["run", "--session", &session, "--cwd", "/", script]);
        assert!(launched.status.success(), "{launched:?}");
        stage.finished_job();
        stage.wake();
        stage.assert_woken(false, "HELLO there");
    });
}

#[test]
fn an_opencode_server_is_notified_when_its_job_finishes() {
    offline("opencode::an_opencode_server_is_notified_when_its_job_finishes", || {
        let Some(mut stage) = Stage::launching(FINISHES_AT_GATE, "opencode", "opencode") else { return };
        // With a plugin, opencode tries to download packages, and the test has no network.
        stage.set("npm_config_fetch_retries", "0");
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        stage.set_up("opencode");
        let mut server = Server::start(&stage);
        let session = server.post("/session", &json!({}))["id"].as_str().expect("a session").to_owned();
        let prompt = json!({"parts": [{"type": "text", "text": "LAUNCH please"}]});
        let answer = server.post(&format!("/session/{session}/message"), &prompt);
        assert!(answer.to_string().contains("LAUNCHED"), "{answer:#}");
        let job = stage.job();
        assert_eq!(job["session"], session, "{job:#}");
        wait_until("a hook waits beside it", || stage.has_waiter());
        stage.write("gate", "");
        stage.wait_until_delivered();
        stage.assert_woken(false, "LAUNCH please");
        wait_until("no hook waits", || !stage.has_waiter());
    });
}

#[test]
fn an_opencode_that_exits_after_its_turn_is_resumed_in_the_session_of_its_plugin() {
    offline(
        "opencode::an_opencode_that_exits_after_its_turn_is_resumed_in_the_session_of_its_plugin",
        || {
            let Some(mut stage) = Stage::launching(FINISHES_AT_GATE, "opencode", "opencode") else { return };
            stage.set("npm_config_fetch_retries", "0");
            stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
            stage.set_up("opencode");
            let turn = stage.command("opencode").args(["run", "LAUNCH please"]).output().expect("it runs");
            assert!(turn.status.success(), "{turn:?}");
            assert!(stage.job()["session"].as_str().is_some_and(|session| session.starts_with("ses_")));
            assert!(!stage.has_waiter());
            stage.write("gate", "");
            stage.finished_job();
            stage.wake();
            stage.assert_woken(false, "LAUNCH please");
        },
    );
}

#[test]
fn a_job_launched_over_mcp_belongs_to_the_session_that_the_plugin_names() {
    offline("opencode::a_job_launched_over_mcp_belongs_to_the_session_that_the_plugin_names", || {
        let Some(mut stage) = Stage::following(launches_and_ends_its_turn(), "opencode", "opencode") else {
            return;
        };
        stage.set("npm_config_fetch_retries", "0");
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        stage.set_up("opencode");
        let turn = stage.command("opencode").args(["run", "LAUNCH please"]).output().expect("it runs");
        assert!(turn.status.success(), "{turn:?}");
        let job = stage.job();
        assert!(job["session"].as_str().is_some_and(|session| session.starts_with("ses_")), "{job:#}");
        assert_eq!(job["harness"], "opencode", "{job:#} {:#?}", stage.model.asked());
        stage.write("gate", "");
        stage.finished_job();
        stage.wait_until_delivered();
    });
}

/// A running opencode server.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(stage: &Stage) -> Server {
        let mut command = stage.command("opencode");
        command.args(["serve", "--hostname", "127.0.0.1", "--port", "0"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("http://")?.1.trim().to_owned()));
        // Drain its output.
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, address: address.expect("it prints its address") }
    }

    /// Sends a request and waits for the response.
    fn post(&mut self, path: &str, body: &Value) -> Value {
        let mut connection = TcpStream::connect(&self.address).expect("it listens");
        let body = body.to_string();
        write!(
            connection,
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("it listens");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        let (start, end) = (answer.find('{').unwrap_or(0), answer.rfind('}').map_or(0, |at| at + 1));
        serde_json::from_str(&answer[start..end]).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration for the scripted model.
pub(crate) fn config(url: &str) -> Value {
    let provider = json!({"npm": "@ai-sdk/openai-compatible", "name": "scripted",
        "options": {"baseURL": format!("{url}/v1"), "apiKey": "none"}, "models": {"scripted": {"name": "scripted"}}});
    json!({"autoupdate": false, "share": "disabled", "model": "scripted/scripted", "small_model": "scripted/scripted",
        "provider": {"scripted": provider}})
}
