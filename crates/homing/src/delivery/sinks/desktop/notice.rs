//! Writes notices, and shows them on the desktop.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use homing_core::text::{flatten, is_line_break, one_line};
use homing_core::{Outcome, Wake, format_duration};
use homing_supervisor::platform::desktop;
use serde::Deserialize;

/// How many jobs a notice names.
const MAX_LINES: usize = 5;

/// Longest name or command, and longest outcome, in characters.
const MAX_PART_CHARS: usize = 60;

/// Longest error of the service, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// The content of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Plain text.
    pub(super) title: String,
    /// Text with escaped `&`, `<` and `>`, because services parse it as markup.
    pub(super) body: String,
}

/// The fields of a job that a notice shows.
#[derive(Deserialize)]
struct NoticedJob {
    name: Option<String>,
    command: String,
    outcome: Option<Outcome>,
}

impl Notice {
    /// The notice of a wake: the number of finished jobs, and the first of them, failures first.
    pub(super) fn of(wake: &Wake) -> Notice {
        let jobs: Vec<NoticedJob> = serde_json::from_str(wake.content.jobs.as_json()).unwrap_or_default();
        let failed = jobs.iter().filter(|job| !job.outcome.as_ref().is_some_and(Outcome::succeeded)).count();
        let title = match (wake.content.job_ids.len(), failed) {
            (0, _) => "homing: a test notice".to_owned(),
            (1, 0) => "homing: 1 job finished".to_owned(),
            (1, _) => "homing: 1 job failed".to_owned(),
            (all, 0) => format!("homing: {all} jobs finished"),
            (all, failed) => format!("homing: {all} jobs finished, {failed} failed"),
        };
        let mut lines: Vec<String> = jobs.iter().take(MAX_LINES).map(NoticedJob::describe).collect();
        if jobs.len() > MAX_LINES {
            lines.push(format!("… and {} more", jobs.len() - MAX_LINES));
        }
        lines.push(format!("Session {}", shorten(wake.session.as_str())));
        Notice { title, body: escape(&lines.join("\n")) }
    }
}

impl Notice {
    /// The notice that results could not be delivered.
    pub(super) fn of_alert(wake: &Wake) -> Notice {
        let lines = wake.content.text.lines().filter(|line| !line.is_empty()).map(flatten);
        let lines: Vec<String> = lines.take(MAX_LINES).collect();
        Notice { title: "homing: results could not be delivered".to_owned(), body: escape(&lines.join("\n")) }
    }
}

impl NoticedJob {
    fn describe(&self) -> String {
        let what = shorten(self.name.as_deref().unwrap_or(&self.command));
        match &self.outcome {
            None => format!("{what}: running"),
            Some(outcome) => format!("{what}: {}", shorten(&outcome.to_string())),
        }
    }
}

/// The first characters of a text's first line.
fn shorten(text: &str) -> String {
    let mut lines = text.split(is_line_break).map(flatten).filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let shown: String = line.chars().take(MAX_PART_CHARS).collect();
    let more = shown.len() < line.len() || lines.next().is_some();
    if more { shown + "…" } else { shown }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Shows notices, one at a time.
pub(super) struct Notifier {
    timeout: Duration,
    /// A thread that still waits for a service which did not answer in time.
    hanging: Mutex<Option<JoinHandle<()>>>,
}

impl Notifier {
    pub(super) fn new(timeout: Duration) -> Notifier {
        Notifier { timeout, hanging: Mutex::new(None) }
    }

    /// Shows a notice, and waits until the service has accepted it.
    ///
    /// # Errors
    /// If the service did not answer within the timeout, or if the desktop has none.
    pub(super) fn show(&self, notice: &Notice) -> Result<(), String> {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        // A hanging service blocks one thread, however often it is tried.
        if hanging.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(
                "the desktop's notification service has not answered an earlier notice yet".to_owned()
            );
        }
        let Notice { title, body } = notice.clone();
        let (sender, answer) = channel();
        let talk = move || {
            let _ = sender.send(desktop::show(&title, &body).map_err(|error| describe(&error)));
        };
        let talking = Builder::new().name("desktop notice".to_owned()).spawn(talk);
        let talking = talking.map_err(|error| format!("cannot start a thread: {error}"))?;
        match answer.recv_timeout(self.timeout) {
            Ok(answer) => {
                // Join the thread. Until it ends, it would look like a thread that still waits.
                let _ = talking.join();
                answer
            }
            Err(RecvTimeoutError::Timeout) => {
                *hanging = Some(talking);
                Err(format!(
                    "no answer from the desktop's notification service within {}",
                    format_duration(self.timeout)
                ))
            }
            Err(RecvTimeoutError::Disconnected) => Err("the notification thread failed".to_owned()),
        }
    }
}

/// Describes why no notice was shown.
fn describe(error: &str) -> String {
    format!("cannot show a desktop notice: {}", one_line(error, MAX_ERROR_CHARS))
}
