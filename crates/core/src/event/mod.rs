//! Events: what the ledger recorded about jobs, follow-ups, wakes and monitors, in the order of recording. Pure types;
//! the document `homing.event/1` is in `document.rs`.

mod actor;
mod cursor;
mod document;

pub use actor::{Actor, ActorKind};
pub use cursor::EventCursor;

use crate::{FollowUpState, JobId, Outcome, SessionId, Timestamp, WakeId, WakeState};

/// One event. Later versions may add kinds, so skip those that you do not know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The place in the log. A reader that continues from here gets the events after this one.
    pub cursor: EventCursor,
    /// What happened.
    pub event: EventKind,
    /// When it happened, by the wall clock. The start and the end of a job are recorded later than they occur.
    pub occurred_at: Timestamp,
    /// When the ledger recorded it, by the wall clock. A clock that was set back does not change the order of events.
    pub recorded_at: Timestamp,
    /// The session that it belongs to; `None` for a monitor.
    pub session: Option<SessionId>,
    /// The job; `None` for a wake or a monitor.
    pub job: Option<JobId>,
    /// The name of the job, while the ledger has the job. Any text.
    pub name: Option<String>,
    /// The wake; `None` for a job or a monitor.
    pub wake: Option<WakeId>,
    /// Who caused it.
    pub actor: Actor,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// The ledger knows a new job.
    JobSeen,
    /// The command of a job was started.
    JobStarted,
    /// A caller asks for the end of a job that has not finished. It is recorded before the job is asked, unless the ledger is
    /// locked for longer than a second.
    JobKillRequested,
    /// A job has finished.
    JobFinished {
        /// How it ended.
        outcome: Outcome,
    },
    /// A job was reported as lost, and its record says something else.
    JobCorrected {
        /// How it ended; `None` if it still runs.
        outcome: Option<Outcome>,
    },
    /// A job was deleted.
    JobRemoved,
    /// A follow-up is in another state.
    FollowUp {
        /// Its state before.
        from: FollowUpState,
        /// Its state now.
        to: FollowUpState,
    },
    /// A wake was created, attempted, answered, or is due at another time.
    Wake {
        /// Its state now.
        state: WakeState,
        /// The sink that delivers it; `None` if only a claim delivers it.
        sink: Option<String>,
        /// The number of the attempt, from 1; `None` before the first.
        attempt: Option<u32>,
        /// Why the attempt failed, was postponed or is not needed. Output of a sink: untrusted.
        error: Option<String>,
        /// The jobs whose results it carries. Empty if the ledger no longer has the wake.
        jobs: Vec<JobId>,
    },
    /// A monitor became active.
    MonitorStarted,
    /// A monitor is no longer active.
    MonitorEnded {
        /// Whether it recorded this itself. `false` if it was killed: then its successor records it, with the time at
        /// which it takes over.
        clean: bool,
    },
}

impl Event {
    /// Creates an event that belongs to no session, job or wake.
    pub fn new(
        cursor: EventCursor,
        event: EventKind,
        occurred_at: Timestamp,
        recorded_at: Timestamp,
        actor: Actor,
    ) -> Event {
        Event {
            cursor,
            event,
            occurred_at,
            recorded_at,
            session: None,
            job: None,
            name: None,
            wake: None,
            actor,
        }
    }

    /// Sets the session that it belongs to.
    #[must_use]
    pub fn with_session(self, session: Option<SessionId>) -> Event {
        Event { session, ..self }
    }

    /// Sets its job and the name of the job.
    #[must_use]
    pub fn with_job(self, job: Option<JobId>, name: Option<String>) -> Event {
        Event { job, name, ..self }
    }

    /// Sets its wake.
    #[must_use]
    pub fn with_wake(self, wake: Option<WakeId>) -> Event {
        Event { wake, ..self }
    }
}

impl EventKind {
    /// Returns the name in JSON and in the ledger, such as `job.finished` or `wake.dead`.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::JobSeen => "job.seen",
            EventKind::JobStarted => "job.started",
            EventKind::JobKillRequested => "job.kill_requested",
            EventKind::JobFinished { .. } => "job.finished",
            EventKind::JobCorrected { .. } => "job.corrected",
            EventKind::JobRemoved => "job.removed",
            EventKind::FollowUp { to, .. } => match to {
                FollowUpState::Waiting => "follow_up.waiting",
                FollowUpState::Pending => "follow_up.pending",
                FollowUpState::HandedOff => "follow_up.handed_off",
                FollowUpState::Acknowledged => "follow_up.acknowledged",
                FollowUpState::Suppressed => "follow_up.suppressed",
                FollowUpState::Dead => "follow_up.dead",
            },
            EventKind::Wake { state, .. } => match state {
                WakeState::Scheduled => "wake.scheduled",
                WakeState::InFlight => "wake.in_flight",
                WakeState::HandedOff => "wake.handed_off",
                WakeState::Delivered => "wake.delivered",
                WakeState::Dead => "wake.dead",
                WakeState::Superseded => "wake.superseded",
            },
            EventKind::MonitorStarted => "monitor.started",
            EventKind::MonitorEnded { .. } => "monitor.ended",
        }
    }
}
