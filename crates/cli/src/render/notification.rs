//! Whether and how a session will be notified of a result: a line for people and agents, and fields for programs.

use homing::core::text::flatten;
use homing::{Job, NotNotified, Prospect};
use serde::Serialize;

/// The fields of [`Notification`] and the job.
#[derive(Serialize)]
pub(crate) struct JobWithNotification<'a> {
    #[serde(flatten)]
    pub(crate) job: &'a Job,
    pub(crate) notification: Notification,
}

/// Whether and how the session will be notified of the result of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Notification {
    will_be_notified: bool,
    /// The sink that delivers the result.
    sink: Option<String>,
    /// Why the session is not notified, or not while it is open.
    reason: Option<&'static str>,
}

impl From<Prospect> for Notification {
    fn from(prospect: Prospect) -> Notification {
        match prospect {
            Prospect::Notified { sink } => {
                Notification { will_be_notified: true, sink: Some(sink), reason: None }
            }
            Prospect::NotifiedOnceClosed { sink } => {
                Notification { will_be_notified: true, sink: Some(sink), reason: Some("once_closed") }
            }
            Prospect::NotNotified { reason } => {
                Notification { will_be_notified: false, sink: None, reason: Some(reason.code()) }
            }
        }
    }
}

/// States in one line whether and how the session of a job will be notified, and what to do if it is not.
pub(crate) fn notification_line(prospect: &Prospect, job: &Job) -> String {
    let (id, session) = (job.id, flatten(job.session.as_str()));
    match prospect {
        Prospect::Notified { sink } => {
            format!("session {session} will be notified of the result (sink {})", flatten(sink))
        }
        Prospect::NotifiedOnceClosed { sink } => format!(
            "session {session} will be notified of the result, at the latest after it is closed (sink {})",
            flatten(sink)
        ),
        Prospect::NotNotified { reason } => {
            let setup = match (reason, &job.harness) {
                (NotNotified::NoRoute, Some(harness)) => {
                    format!("; homing setup {} configures notifications", flatten(harness))
                }
                _ => String::new(),
            };
            format!(
                "session {session} will not be notified: {reason}; run homing wait {id} to get the result{setup}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_say_who_notifies_or_why_nobody_does() {
        let json = |prospect| serde_json::to_string(&Notification::from(prospect)).unwrap();
        let sink = || "codex".to_owned();
        assert_eq!(
            [
                json(Prospect::Notified { sink: sink() }),
                json(Prospect::NotifiedOnceClosed { sink: sink() }),
                json(Prospect::NotNotified { reason: NotNotified::NoRoute }),
            ],
            [
                r#"{"will_be_notified":true,"sink":"codex","reason":null}"#,
                r#"{"will_be_notified":true,"sink":"codex","reason":"once_closed"}"#,
                r#"{"will_be_notified":false,"sink":null,"reason":"no_route"}"#,
            ]
        );
    }
}
