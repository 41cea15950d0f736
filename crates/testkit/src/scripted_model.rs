//! A model that follows a script, so that real agent harnesses can be driven without any network. It speaks Anthropic
//! Messages, OpenAI Responses, OpenAI Chat Completions and Gemini, streaming or not, and keeps what it was asked.

mod answer;
mod http;
mod request;

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use answer::Api;
use request::Request;

/// One rule of the script; the first that fits decides. What fits none is answered with "ok".
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// Text in the newest message.
    #[serde(rename = "if")]
    pub contains: String,
    /// Whom that message has to come from; anybody without this.
    pub who: Option<Who>,
    /// What the model does then.
    #[serde(flatten)]
    pub action: Action,
}

/// Whom a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The user, or whoever writes in that place.
    User,
    /// A tool that the model called.
    Tool,
}

/// What the model does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Calls the harness's own shell tool.
    Shell(String),
    /// Calls a tool of a server by the server's own name for it.
    Call {
        /// The tool, without what harnesses put before its name.
        tool: String,
        /// What it takes; [`JOB_ID`] in it stands for the id in the newest message, behind the word `Job`.
        arguments: Value,
    },
    /// Answers, which ends the turn.
    Say(String),
}

impl Rule {
    /// What the model does when a message from `who` contains that text.
    pub fn new(who: Who, contains: &str, action: Action) -> Rule {
        Rule { contains: contains.to_owned(), who: Some(who), action }
    }
}

/// Stands for the id of a job in [`Action::Call`].
pub const JOB_ID: &str = "JOB_ID";

/// What the model was asked once.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Whom the newest message came from.
    pub who: Option<Who>,
    /// That message.
    pub text: String,
    /// All messages of the conversation, as JSON.
    pub conversation: String,
    /// The names of the tools that it could call.
    pub tools: Vec<String>,
}

/// A running model; its threads end with the process.
#[derive(Clone, Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl ScriptedModel {
    /// Starts one on a free port of this machine's loopback.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(rules: Vec<Rule>) -> io::Result<ScriptedModel> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let model = ScriptedModel { address: listener.local_addr()?, asked: Arc::default() };
        let (asked, rules) = (Arc::clone(&model.asked), Arc::new(rules));
        std::thread::spawn(move || {
            for connection in listener.incoming().filter_map(Result::ok) {
                let (asked, rules) = (Arc::clone(&asked), Arc::clone(&rules));
                // A harness that goes away in the middle is nobody's concern here.
                std::thread::spawn(move || drop(serve(connection, &rules, &asked)));
            }
        });
        Ok(model)
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far, titles and other requests without tools left out.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }
}

fn lock(asked: &Mutex<Vec<Asked>>) -> MutexGuard<'_, Vec<Asked>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one connection until the other side closes it.
fn serve(connection: TcpStream, rules: &[Rule], asked: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    while let Some(request) = http::read(&mut reader, &mut writer)? {
        let models = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}], "models": []});
        let Some(body) = request.body.filter(|_| request.method == "POST") else {
            http::write(&mut writer, "application/json", &models.to_string(), request.method == "HEAD")?;
            continue;
        };
        let (kind, text) = match Api::of_path(&request.path) {
            Some(api) => respond(api, body, rules, asked),
            None if request.path.ends_with("count_tokens") => {
                ("application/json", json!({"input_tokens": 10}).to_string())
            }
            None => ("application/json", "{}".to_owned()),
        };
        http::write(&mut writer, kind, &text, false)?;
    }
    Ok(())
}

fn respond(api: Api, body: Value, rules: &[Rule], asked: &Mutex<Vec<Asked>>) -> (&'static str, String) {
    let stream = body["stream"] == Value::Bool(true) || api.always_streams();
    let request = Request::new(&body);
    let answer = request.decide(rules);
    if request.has_tools() {
        lock(asked).push(request.into_asked());
    }
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
    fn it_speaks_three_languages_and_keeps_what_it_was_asked() {
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
