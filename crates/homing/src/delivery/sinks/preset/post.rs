//! Wakes a session through its harness's server, which queues the message and answers before the agent has read it.

use std::time::Duration;

use homing_core::{Delivery, Wake};
use serde_json::Value;

use crate::config::HttpUrl;
use crate::config::PresetConfig;
use crate::delivery::sinks::Sink;
use crate::delivery::sinks::http::HttpClient;
use crate::delivery::sinks::secret_file::read_secret_file;
use crate::harness::{PostTransport, Profile, not_its_session};
use crate::{Error, Result};

/// Longest timeout of one request: the server only queues the message. The agent's turn may take far longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Posts each wake to a session of a server.
pub(super) struct PostSink {
    profile: &'static Profile,
    transport: &'static PostTransport,
    client: HttpClient,
    key: Option<String>,
}

impl PostSink {
    /// Reads the key, once.
    ///
    /// # Errors
    /// If the URL is invalid, or the key file cannot be used.
    pub(super) fn new(
        profile: &'static Profile,
        transport: &'static PostTransport,
        config: &PresetConfig,
        timeout: Duration,
    ) -> Result<PostSink> {
        let url = HttpUrl::parse(config.url.as_deref().unwrap_or(&transport.url))
            .map_err(|reason| Error::InvalidRequest(format!("{}: url: {reason}", profile.name)))?;
        let key = config.key_file.as_deref().map(read_secret_file).transpose()?;
        let key = key.map(|key| key.trim().to_owned());
        Ok(PostSink { profile, transport, client: HttpClient::new(url, timeout.min(LONGEST)), key })
    }
}

impl Sink for PostSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let session = wake.session.as_str();
        if let Some(delivery) = not_its_session(self.profile, session) {
            return delivery;
        }
        let path: Vec<String> =
            self.transport.path.iter().map(|part| part.replace("{session}", session)).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut headers = vec![("content-type", "application/json")];
        if let Some(key) = &self.key {
            headers.push((&self.transport.key_header, key));
        }
        let mut body: Value = serde_json::from_str(&self.transport.body).expect("a test reads every preset");
        fill(&mut body, &wake.content.text);
        match self.client.post_below(&path, &headers, body.to_string().as_bytes()) {
            Ok(answer) => match answer.into_delivery() {
                Delivery::Delivered => Delivery::HandedOff,
                other @ (Delivery::HandedOff
                | Delivery::Busy { .. }
                | Delivery::Gone { .. }
                | Delivery::Failed { .. }) => other,
            },
            Err(error) => Delivery::Failed { error },
        }
    }

    fn needs_acknowledgement(&self) -> bool {
        true
    }
}

/// Replaces `{text}` with the text.
fn fill(value: &mut Value, text: &str) {
    match value {
        Value::String(string) if string == "{text}" => text.clone_into(string),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, text)),
        Value::Object(fields) => fields.values_mut().for_each(|field| fill(field, text)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use serde_json::json;

    use super::super::build;
    use super::*;
    use crate::config::Acknowledge;
    use crate::delivery::sinks::SinkContext;
    use crate::delivery::sinks::http::scripted_server::{Answer, ScriptedServer};
    use crate::process::testing::wake;

    const SESSION: &str = "8ea33794-a111-41a6-9d20-26cb0c63612b";

    #[test]
    fn a_wake_that_the_server_accepts_is_handed_off() {
        let answer = |status: u16| Answer::status(status, &[], b"{}");
        let server = ScriptedServer::start(vec![answer(200), answer(404), answer(503), answer(500)]);
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("key");
        fs::write(&key_file, "hunter2\n").unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        let config = PresetConfig {
            preset: "openhands".to_owned(),
            program: None,
            arguments: Vec::new(),
            url: Some(server.url()),
            key_file: Some(key_file),
        };
        let sink = build(
            &config,
            Duration::from_secs(20),
            Acknowledge::OnSuccess,
            &SinkContext { home: Path::new("/h") },
        )
        .unwrap();
        assert!(sink.needs_acknowledgement());
        assert_eq!(sink.deliver(&wake(SESSION, "two\n\"lines\"")), Delivery::HandedOff);
        for expected in ["gone", "busy", "failed"] {
            assert_eq!(sink.deliver(&wake(SESSION, "")).as_str(), expected);
        }
        assert_eq!(sink.deliver(&wake("chat-1", "")).as_str(), "gone");
        let asked = server.next_asked();
        assert_eq!(asked.line, format!("POST /wake/api/conversations/{SESSION}/events HTTP/1.1"));
        assert_eq!(asked.header("x-session-api-key"), "hunter2");
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let content = json!([{"type": "text", "text": "two\n\"lines\""}]);
        assert_eq!(body, json!({"role": "user", "content": content, "run": true}));
    }

    #[test]
    fn settings_that_a_preset_does_not_support_are_refused() {
        let refused = |preset: &str, change: fn(&mut PresetConfig)| {
            let mut config = PresetConfig {
                preset: preset.to_owned(),
                program: None,
                arguments: Vec::new(),
                url: None,
                key_file: None,
            };
            change(&mut config);
            build(
                &config,
                Duration::from_secs(1),
                Acknowledge::OnSuccess,
                &SinkContext { home: Path::new("/h") },
            )
            .is_err()
        };
        assert!(refused("codex", |config| config.url = Some("http://127.0.0.1/".to_owned())));
        assert!(refused("codex", |config| config.key_file = Some("key".into())));
        assert!(refused("openhands", |config| config.program = Some("x".to_owned())));
        assert!(refused("openhands", |config| config.arguments.push("x".to_owned())));
        assert!(refused("openhands", |config| config.url = Some("wake".to_owned())));
        assert!(refused("no-such-preset", |_| {}));
    }
}
