//! A model that follows a script, to test real agent harnesses without a network. It implements Anthropic Messages,
//! OpenAI Responses, OpenAI Chat Completions and Gemini, with and without streaming, and records its requests.

mod answer;
mod http;
mod request;
mod rule;

pub use rule::{Action, Answered, Asked, JOB_ID, Rule, Who};

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use answer::Api;
use request::Request;

/// A running model; its threads end with the process.
#[derive(Clone, Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    gate: Arc<Gate>,
}

/// Answers wait while the gate is closed.
#[derive(Debug, Default)]
struct Gate {
    is_closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, is_closed: bool) {
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = is_closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let is_closed = self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(is_closed, |is_closed| *is_closed));
    }
}

impl ScriptedModel {
    /// Starts a model on a free port of the loopback interface.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub fn start(rules: Vec<Rule>) -> io::Result<ScriptedModel> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let model =
            ScriptedModel { address: listener.local_addr()?, asked: Arc::default(), gate: Arc::default() };
        let (asked, gate, rules) = (Arc::clone(&model.asked), Arc::clone(&model.gate), Arc::new(rules));
        std::thread::spawn(move || {
            for connection in listener.incoming().filter_map(Result::ok) {
                let (asked, gate, rules) = (Arc::clone(&asked), Arc::clone(&gate), Arc::clone(&rules));
                // Ignore errors: a harness may close the connection at any time.
                std::thread::spawn(move || drop(serve(connection, &rules, &asked, &gate)));
            }
        });
        Ok(model)
    }

    /// Returns its address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds all answers until [`ScriptedModel::release`]. Requests are recorded.
    pub fn hold(&self) {
        self.gate.set(true);
    }

    /// Gives the answers that [`ScriptedModel::hold`] holds.
    pub fn release(&self) {
        self.gate.set(false);
    }

    /// Returns the requests so far, except requests without tools, such as those for titles.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

fn lock(asked: &Mutex<Vec<Asked>>) -> MutexGuard<'_, Vec<Asked>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until the client closes it.
fn serve(connection: TcpStream, rules: &[Rule], asked: &Mutex<Vec<Asked>>, gate: &Gate) -> io::Result<()> {
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    while let Some(request) = http::read(&mut reader, &mut writer)? {
        let models = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": []});
        let Some(body) = request.body.filter(|_| request.method == "POST") else {
            http::write(&mut writer, "application/json", &models.to_string(), request.method == "HEAD")?;
            continue;
        };
        let (kind, text) = match Api::of_path(&request.path) {
            Some(api) => respond(api, body, rules, asked, gate),
            None if request.path.ends_with("count_tokens") => {
                ("application/json", json!({"input_tokens": 10}).to_string())
            }
            None => ("application/json", "{}".to_owned()),
        };
        http::write(&mut writer, kind, &text, false)?;
    }
    Ok(())
}

fn respond(
    api: Api,
    body: Value,
    rules: &[Rule],
    asked: &Mutex<Vec<Asked>>,
    gate: &Gate,
) -> (&'static str, String) {
    let stream = body["stream"] == Value::Bool(true) || api.always_streams();
    let request = Request::new(&body);
    let answer = request.decide(rules);
    if request.has_tools() {
        lock(asked).push(request.into_asked(&answer));
    }
    gate.pass();
    let model = body["model"].as_str().unwrap_or("scripted");
    match stream {
        true => ("text/event-stream", api.stream(&answer, model)),
        false => ("application/json", api.whole(&answer, model).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn post(model: &ScriptedModel, path: &str, body: &Value) -> String {
        let mut connection = TcpStream::connect(model.address).unwrap();
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn three_apis_are_answered_and_requests_are_recorded() {
        let rules = vec![
            Rule::new(Who::User, "GO", Action::Shell("echo 1".to_owned())),
            Rule::new(Who::Tool, "1", Action::Say("DONE".to_owned())),
        ];
        let model = ScriptedModel::start(rules).unwrap();
        let tool = json!({"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}});
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": "GO"}]}]);
        let body = json!({"messages": messages, "tools": [tool], "stream": true});
        let answer = post(&model, "/v1/messages?beta=true", &body);
        assert!(answer.contains("event: message_start") && answer.contains("echo 1"), "{answer}");
        let input =
            json!([{"role": "user", "content": "GO"}, {"type": "function_call_output", "output": "1\n"}]);
        let answer = post(&model, "/v1/responses", &json!({"input": input, "tools": [{"name": "shell"}]}));
        assert!(answer.contains("DONE") && answer.contains("\"object\":\"response\""), "{answer}");
        let messages = json!([{"role": "user", "content": "other"}]);
        let tool = json!({"type": "function", "function": {"name": "bash"}});
        let body = json!({"messages": messages, "tools": [tool], "stream": true});
        let answer = post(&model, "/v1/chat/completions", &body);
        assert!(answer.contains("\"content\":\"ok\"") && answer.contains("[DONE]"), "{answer}");
        let asked: Vec<_> = model.asked().into_iter().map(|asked| (asked.who, asked.text)).collect();
        let expected = [(Some(Who::User), "GO"), (Some(Who::Tool), "1\n"), (Some(Who::User), "other")];
        assert_eq!(asked, expected.map(|(who, text)| (who, text.to_owned())));
    }
}
