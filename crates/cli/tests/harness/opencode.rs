//! opencode. It does not tell its shell which session it is in, so the job names the session.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use testkit::wait_until;

use crate::offline::offline;
use crate::stage::{OVER_WHEN_TOLD, Stage};

#[test]
fn opencode_is_woken_in_the_session_that_a_job_names() {
    offline("opencode::opencode_is_woken_in_the_session_that_a_job_names", || {
        let Some(stage) = Stage::new("opencode", "opencode", "opencode") else { return };
        stage.write(".config/opencode/opencode.json", &config(&stage.model.url()).to_string());
        let turn = stage.command("opencode").args(["run", "--format", "json", "HELLO there"]).output();
        let turn = turn.expect("it runs");
        let text = String::from_utf8_lossy(&turn.stdout);
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let session = events.filter_map(|event| Some(event["sessionID"].as_str()?.to_owned())).next();
        let session = session.unwrap_or_else(|| panic!("no session: {turn:?}"));
        // From elsewhere: it has to be woken where it began, or its turn is never heard of.
        let script = "echo greetings-$((40 + 2))";
        let launched = stage.homing(&["run", "--session", &session, "--cwd", "/", script]);
        assert!(launched.status.success(), "{launched:?}");
        stage.finished_job();
        stage.wake();
        stage.assert_woken(false, "HELLO there");
    });
}

#[test]
fn an_opencode_that_stays_is_told_when_its_job_is_over() {
    offline("opencode::an_opencode_that_stays_is_told_when_its_job_is_over", || {
        let Some(mut stage) = Stage::launching(OVER_WHEN_TOLD, "opencode", "opencode") else { return };
        // Where there is a plugin, it looks for what plugins may need, and here is nothing.
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
        stage.wait_until_told();
        stage.assert_woken(false, "LAUNCH please");
        wait_until("nobody waits any more", || !stage.has_waiter());
    });
}

#[test]
fn an_opencode_that_ends_with_its_turn_is_resumed_in_the_session_that_its_plugin_named() {
    offline(
        "opencode::an_opencode_that_ends_with_its_turn_is_resumed_in_the_session_that_its_plugin_named",
        || {
            let Some(mut stage) = Stage::launching(OVER_WHEN_TOLD, "opencode", "opencode") else { return };
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

/// An opencode that stays.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(stage: &Stage) -> Server {
        let mut command = stage.command("opencode");
        command.args(["serve", "--hostname", "127.0.0.1", "--port", "0"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let address = said.find_map(|line| Some(line.split_once("http://")?.1.trim().to_owned()));
        // It goes on talking.
        std::thread::spawn(move || said.for_each(drop));
        Server { child, address: address.expect("it says where it is") }
    }

    /// Asks it for something, and waits for the answer.
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

/// Where the model is.
pub(crate) fn config(url: &str) -> Value {
    let provider = json!({"npm": "@ai-sdk/openai-compatible", "name": "scripted",
        "options": {"baseURL": format!("{url}/v1"), "apiKey": "none"}, "models": {"scripted": {"name": "scripted"}}});
    json!({"autoupdate": false, "share": "disabled", "model": "scripted/scripted", "small_model": "scripted/scripted",
        "provider": {"scripted": provider}})
}
