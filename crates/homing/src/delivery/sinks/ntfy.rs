//! The ntfy sink: a notification on a person's phone (<https://docs.ntfy.sh/publish/>). Topics of public servers can be read
//! by everybody who knows their name, so it sends numbers, ids and outcomes, and never output, names or commands.

use std::fmt::Write;
use std::time::Duration;

use homing_core::{Delivery, JobId, Outcome, Wake, format_duration};
use serde::Deserialize;

use super::Sink;
use super::http::HttpClient;
use super::secret_file::{read_secret_file, refuse_secret};
use crate::config::{HttpUrl, NtfyConfig};
use crate::{Error, Result};

/// How many jobs a notification names.
const MAX_JOBS: usize = 10;

/// Publishes each wake to a topic.
pub(super) struct NtfySink {
    client: HttpClient,
    /// The value of the header `authorization`.
    authorization: Option<String>,
}

/// The fields of a job that a notification shows.
#[derive(Deserialize)]
struct ShownJob {
    id: JobId,
    outcome: Option<Outcome>,
    duration_ms: Option<u64>,
}

impl NtfySink {
    /// Reads the token, once. `timeout` bounds one attempt.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the URL is invalid, [`Error::SecretRefused`] if the file of the token cannot be used.
    pub(super) fn new(config: &NtfyConfig, timeout: Duration) -> Result<NtfySink> {
        let url =
            HttpUrl::parse(&config.url).map_err(|reason| Error::InvalidRequest(format!("ntfy: {reason}")))?;
        let authorization = match &config.token_file {
            None => None,
            Some(path) => {
                let text = read_secret_file(path)?;
                let token = text.trim();
                if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(refuse_secret(path, "it must contain one access token".to_owned()));
                }
                Some(format!("Bearer {token}"))
            }
        };
        Ok(NtfySink { client: HttpClient::new(url, timeout), authorization })
    }

    fn publish(&self, title: &str, tag: &str, body: &str) -> Delivery {
        let mut headers =
            vec![("content-type", "text/plain; charset=utf-8"), ("title", title), ("tags", tag)];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization));
        }
        match self.client.post(&headers, body.as_bytes()) {
            Ok(answer) => answer.into_delivery(),
            Err(error) => Delivery::Failed { error },
        }
    }
}

impl Sink for NtfySink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let jobs: Vec<ShownJob> = serde_json::from_str(wake.content.jobs.as_json()).unwrap_or_default();
        let failed = jobs.iter().filter(|job| !job.outcome.as_ref().is_some_and(Outcome::succeeded)).count();
        let title = match (jobs.len(), failed) {
            (0, _) => "homing: a test notification".to_owned(),
            (1, 0) => "homing: 1 job succeeded".to_owned(),
            (1, _) => "homing: 1 job failed".to_owned(),
            (all, 0) => format!("homing: {all} jobs succeeded"),
            (all, failed) => format!("homing: {failed} of {all} jobs failed"),
        };
        let mut body = String::new();
        for job in jobs.iter().take(MAX_JOBS) {
            let _ = writeln!(body, "{} {}", job.id, job.state());
        }
        if jobs.len() > MAX_JOBS {
            let _ = writeln!(body, "and {} more", jobs.len() - MAX_JOBS);
        }
        if jobs.is_empty() {
            body.push_str("No job has finished.");
        }
        self.publish(&title, if failed == 0 { "white_check_mark" } else { "x" }, body.trim_end())
    }

    fn alert(&self, _wake: &Wake) -> Delivery {
        // The text of the alert names sessions and quotes errors of sinks.
        self.publish(
            "homing: results could not be delivered",
            "warning",
            "Run homing follow-ups to see them.",
        )
    }
}

impl ShownJob {
    /// Its outcome without the texts of the system, and its duration.
    fn state(&self) -> String {
        let state = match &self.outcome {
            None => "is running".to_owned(),
            Some(Outcome::Exited { exit_code }) => format!("exit {exit_code}"),
            Some(Outcome::Signaled { signal, .. }) => format!("signal {signal}"),
            Some(Outcome::TimedOut) => "timed out".to_owned(),
            Some(Outcome::Killed { .. }) => "killed".to_owned(),
            Some(Outcome::FailedToStart { .. }) => "failed to start".to_owned(),
            Some(Outcome::Lost { .. }) => "lost".to_owned(),
        };
        match self.duration_ms {
            Some(millis) => format!("{state} after {}", format_duration(Duration::from_millis(millis))),
            None => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use homing_core::{Timestamp, WakeContent, WakeId};

    use super::super::http::scripted_server::{Answer, ScriptedServer};
    use super::*;

    const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

    fn wake(jobs: &serde_json::Value) -> Wake {
        let text = "the secret text".to_owned();
        let jobs = homing_core::JobDocuments::from_json(jobs.to_string()).unwrap();
        Wake {
            id: WakeId::new(Timestamp::from_unix_millis(0), [7; 10]),
            session: "secret-session".parse().unwrap(),
            attempt: 1,
            created_at: Timestamp::from_unix_millis(0),
            content: WakeContent { jobs, ..WakeContent::new(text, &[]) },
        }
    }

    fn job(outcome: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({"id": "3f9c0a1b2c4d", "name": "secret name", "command": "secret command", "cwd": "/secret",
            "outcome": outcome, "duration_ms": 72_000})
    }

    fn sink(server: &ScriptedServer, token_file: Option<PathBuf>) -> Result<NtfySink> {
        NtfySink::new(&NtfyConfig { url: server.url(), token_file }, WAIT_TIMEOUT)
    }

    #[test]
    fn a_notification_has_numbers_ids_and_outcomes_and_nothing_else_of_a_job() {
        let server = ScriptedServer::start(vec![Answer::status(200, &[], b"{}")]);
        let failed = serde_json::json!({"kind": "timed_out"});
        let jobs =
            serde_json::json!([job(&serde_json::json!({"kind": "exited", "exit_code": 0})), job(&failed)]);
        assert_eq!(sink(&server, None).unwrap().deliver(&wake(&jobs)), Delivery::Delivered);
        let asked = server.next_asked();
        assert_eq!(asked.header("title"), "homing: 1 of 2 jobs failed");
        assert_eq!(asked.body, "3f9c0a1b2c4d exit 0 after 1m 12s\n3f9c0a1b2c4d timed out after 1m 12s");
        assert!(!format!("{asked:?}").contains("secret"), "{asked:?}");
    }

    #[test]
    fn an_alert_names_no_session_and_quotes_no_error() {
        let server = ScriptedServer::start(vec![Answer::status(200, &[], b"{}")]);
        assert_eq!(sink(&server, None).unwrap().alert(&wake(&serde_json::json!([]))), Delivery::Delivered);
        let asked = server.next_asked();
        assert_eq!(asked.header("title"), "homing: results could not be delivered");
        assert!(!format!("{asked:?}").contains("secret"), "{asked:?}");
    }

    #[test]
    fn the_token_is_sent_and_its_file_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ntfy.token");
        std::fs::write(&path, "tk_hunter2\n").unwrap();
        let set_mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let server = ScriptedServer::start(vec![Answer::status(403, &[], b"forbidden")]);
        set_mode(0o644);
        assert!(matches!(sink(&server, Some(path.clone())), Err(Error::SecretRefused { .. })));
        set_mode(0o600);
        let delivery = sink(&server, Some(path.clone())).unwrap().deliver(&wake(&serde_json::json!([])));
        assert!(matches!(&delivery, Delivery::Failed { error } if error.contains("403")), "{delivery:?}");
        let asked = server.next_asked();
        assert_eq!(asked.header("authorization"), "Bearer tk_hunter2");
        std::fs::write(&path, "two words").unwrap();
        assert!(matches!(sink(&server, Some(path.clone())), Err(Error::SecretRefused { .. })));
    }
}
