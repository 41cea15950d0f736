//! Whether a session will be notified of the result of a job, and how. Front ends only word the answer.

use std::fmt;

use homing_core::{FollowUpPolicy, Job, SessionId};

use crate::Result;
use crate::config::Config;
use crate::context::Context;
use crate::delivery::routes::{Addressee, reaches_agent, sink_of};
use crate::harness::origin::Origin;
use crate::harness::{IdleNotification, Profile, Terminal};

/// Whether a session will be notified of the result of a job: see [`Homing::prospect`](crate::Homing::prospect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// The session is notified, whether it is open or not.
    Notified {
        /// The name of the sink.
        sink: String,
    },
    /// The session is notified at the latest after it is closed: its harness cannot be notified while the session is open
    /// and idle.
    NotifiedOnceClosed {
        /// The name of the sink.
        sink: String,
    },
    /// The session is not notified. It reads the result itself.
    NotNotified {
        /// Why not.
        reason: NotNotified,
    },
}

/// Why a session is not notified of the result of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotNotified {
    /// The job belongs to another session.
    OtherSession,
    /// The job has no follow-up: [`FollowUpPolicy::Never`].
    NoFollowUp,
    /// The configuration of the user is refused, so the session has no route, or no monitor starts.
    ConfigRefused,
    /// No route leads from the session to a sink.
    NoRoute,
    /// The sink reaches only a person, not the agent.
    NoSinkForAgent,
    /// No monitor is active, and none starts on demand.
    NoMonitor,
}

impl NotNotified {
    /// A name for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            NotNotified::OtherSession => "other_session",
            NotNotified::NoFollowUp => "no_follow_up",
            NotNotified::ConfigRefused => "config_refused",
            NotNotified::NoRoute => "no_route",
            NotNotified::NoSinkForAgent => "no_sink_for_agent",
            NotNotified::NoMonitor => "no_monitor",
        }
    }
}

impl fmt::Display for NotNotified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotNotified::OtherSession => "the job belongs to another session",
            NotNotified::NoFollowUp => "the job has no follow-up",
            NotNotified::ConfigRefused => "the configuration is not used",
            NotNotified::NoRoute => "no route leads from it to a sink",
            NotNotified::NoSinkForAgent => "its sink notifies only a person",
            NotNotified::NoMonitor => "no monitor is running",
        })
    }
}

impl Context {
    /// Whether the session `reader` is notified when this job finishes.
    pub(crate) fn prospect(
        &self,
        job: &Job,
        reader: &Origin,
        is_hook_installed: impl FnOnce() -> bool,
    ) -> Result<Prospect> {
        let sink = sink_for_agent(self.config(), Addressee::of(job), job.follow_up_policy, &reader.session);
        let sink = match sink {
            Ok(sink) => sink,
            Err(reason) => return Ok(self.not_notified(reason)),
        };
        if !self.starts_monitors() && self.active_monitor()?.is_none() {
            return Ok(self.not_notified(NotNotified::NoMonitor));
        }
        let profile = reader.harness.as_deref().and_then(Profile::named);
        let is_only_closed = profile
            .is_some_and(|profile| !can_notify_open_session(&profile.idle, in_terminal, is_hook_installed));
        Ok(if is_only_closed { Prospect::NotifiedOnceClosed { sink } } else { Prospect::Notified { sink } })
    }

    fn not_notified(&self, reason: NotNotified) -> Prospect {
        let reason = match reason {
            // A refused configuration is replaced with the defaults.
            NotNotified::NoRoute | NotNotified::NoMonitor if self.store.loaded.refusal.is_some() => {
                NotNotified::ConfigRefused
            }
            reason => reason,
        };
        Prospect::NotNotified { reason }
    }
}

/// The sink that notifies the agent of the session `reader` of a job, by the configuration alone.
fn sink_for_agent(
    config: &Config,
    job: Addressee<'_>,
    follow_up: FollowUpPolicy,
    reader: &SessionId,
) -> Result<String, NotNotified> {
    if job.session != reader {
        return Err(NotNotified::OtherSession);
    }
    if follow_up == FollowUpPolicy::Never {
        return Err(NotNotified::NoFollowUp);
    }
    let sink = sink_of(config, job).ok_or(NotNotified::NoRoute)?;
    if reaches_agent(config, &sink) { Ok(sink) } else { Err(NotNotified::NoSinkForAgent) }
}

/// Whether an open, idle session can be notified.
fn can_notify_open_session(
    idle: &IdleNotification,
    in_terminal: impl FnOnce(&Terminal) -> bool,
    is_hook_installed: impl FnOnce() -> bool,
) -> bool {
    match idle {
        IdleNotification::Always => true,
        IdleNotification::Never => false,
        // Outside a terminal, the monitor resumes the session although it is open.
        IdleNotification::WaitingHook { terminal, .. } => !in_terminal(terminal) || is_hook_installed(),
    }
}

/// Whether the harness of this process runs in a terminal. If it does not say so, it probably does.
fn in_terminal(terminal: &Terminal) -> bool {
    std::env::var_os(terminal.variable).is_none_or(|found| found == terminal.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(config: &str, harness: Option<&str>, named: Option<&str>) -> Result<String, NotNotified> {
        let config: Config = toml::from_str(config).unwrap();
        let session: SessionId = "chat-1".parse().unwrap();
        let job = Addressee { session: &session, harness, sink: named };
        sink_for_agent(&config, job, FollowUpPolicy::Failure, &session)
    }

    #[test]
    fn the_sink_of_a_session_comes_from_the_job_or_from_the_routes() {
        let agents = "agents = [\"codex\"]";
        assert_eq!(sink(agents, Some("codex"), None), Ok("codex".to_owned()));
        assert_eq!(sink("", None, Some("codex")), Ok("codex".to_owned()));
        assert_eq!(sink(agents, Some("goose"), None), Err(NotNotified::NoRoute));
        assert_eq!(sink("", None, Some("gone")), Err(NotNotified::NoRoute));
    }

    #[cfg(feature = "desktop")]
    #[test]
    fn a_desktop_notice_does_not_notify_the_agent() {
        let config = "[sinks.notice]\ndesktop = true\n[[routes]]\nsink = \"notice\"";
        assert_eq!(sink(config, None, None), Err(NotNotified::NoSinkForAgent));
    }

    #[test]
    fn a_session_is_not_notified_of_other_jobs_or_without_a_follow_up() {
        let sessions = ["chat-1", "chat-2"].map(|session| session.parse::<SessionId>().unwrap());
        let job = Addressee { session: &sessions[0], harness: None, sink: Some("codex") };
        let of = |policy, reader| sink_for_agent(&Config::default(), job, policy, reader);
        assert_eq!(of(FollowUpPolicy::Always, &sessions[0]), Ok("codex".to_owned()));
        assert_eq!(of(FollowUpPolicy::Always, &sessions[1]), Err(NotNotified::OtherSession));
        assert_eq!(of(FollowUpPolicy::Never, &sessions[0]), Err(NotNotified::NoFollowUp));
    }

    #[test]
    fn an_idle_session_in_a_terminal_needs_a_hook() {
        let terminal = Terminal { variable: "ENTRYPOINT", value: "cli" };
        let hook = IdleNotification::WaitingHook { terminal, command: "hook", files: &[] };
        let can = |idle, in_terminal, is_installed| {
            can_notify_open_session(&idle, |_| in_terminal, || is_installed)
        };
        assert!(can(hook, true, true) && can(hook, false, false));
        assert!(!can(hook, true, false));
        assert!(can(IdleNotification::Always, true, false));
        assert!(!can(IdleNotification::Never, false, true));
    }
}
