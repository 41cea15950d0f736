//! Whether a session will be notified of the result of a job, and how. Front ends only word the answer.

use homing_core::{FollowUpPolicy, Job};

use crate::Result;
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

impl Context {
    /// Whether the session `reader` is notified when this job finishes.
    pub(crate) fn prospect(
        &self,
        job: &Job,
        reader: &Origin,
        is_hook_installed: impl FnOnce() -> bool,
    ) -> Result<Prospect> {
        let sink = match self.sink_for_agent(job, reader) {
            Ok(sink) => sink,
            Err(reason) => return Ok(Prospect::NotNotified { reason }),
        };
        if !self.starts_monitors() && self.active_monitor()?.is_none() {
            return Ok(Prospect::NotNotified { reason: self.unless_refused(NotNotified::NoMonitor) });
        }
        let profile = reader.harness.as_deref().and_then(Profile::named);
        let is_only_closed = profile
            .is_some_and(|profile| !can_notify_open_session(&profile.idle, in_terminal, is_hook_installed));
        Ok(if is_only_closed { Prospect::NotifiedOnceClosed { sink } } else { Prospect::Notified { sink } })
    }

    /// The sink that notifies the agent of `reader` of this job, by the configuration alone.
    fn sink_for_agent(&self, job: &Job, reader: &Origin) -> Result<String, NotNotified> {
        if job.session != reader.session {
            return Err(NotNotified::OtherSession);
        }
        if job.follow_up_policy == FollowUpPolicy::Never {
            return Err(NotNotified::NoFollowUp);
        }
        let config = self.config();
        let sink = sink_of(config, Addressee::of(job));
        let sink = sink.ok_or_else(|| self.unless_refused(NotNotified::NoRoute))?;
        if reaches_agent(config, &sink) { Ok(sink) } else { Err(NotNotified::NoSinkForAgent) }
    }

    /// The reason, unless it follows from a refused configuration.
    fn unless_refused(&self, reason: NotNotified) -> NotNotified {
        if self.store.loaded.refusal.is_some() { NotNotified::ConfigRefused } else { reason }
    }
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
