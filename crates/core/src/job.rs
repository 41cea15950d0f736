//! One job: its specification, its state, its result and its follow-up. `job_document.rs` writes and reads it as JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    FollowUp, FollowUpPolicy, JobCommand, JobId, JobKey, JobLimits, KilledBy, Leftover, LeftoverPolicy,
    Outcome, Recovery, SessionId, Shell, Timestamp,
};

/// One job: its specification, its state, and its follow-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The session that launched it.
    pub session: SessionId,
    /// The key it was launched under, if any.
    pub key: Option<JobKey>,
    /// Its name, or the description that a caller gave it. Any text: only a [`JobName`](crate::JobName) refers to a job.
    pub name: Option<String>,
    /// The command.
    pub command: JobCommand,
    /// The shell that runs the command, if it is a script.
    pub shell: Shell,
    /// The working directory. On an executor, a path there; `~` for the home directory of the user there.
    pub cwd: PathBuf,
    /// The names of the variables that it got in addition to the inherited environment. Their values are not stored.
    pub env_names: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its limits.
    pub limits: JobLimits,
    /// What happens to processes that survive its main process.
    pub leftovers: LeftoverPolicy,
    /// When its session is notified of its end.
    pub follow_up_policy: FollowUpPolicy,
    /// The agent harness it was launched from, if known.
    pub harness: Option<String>,
    /// The sink that its session is woken through, if the job names one.
    pub sink: Option<String>,
    /// The configured executor that runs it; `None` for this machine.
    pub executor: Option<String>,
    /// Its state.
    pub state: JobState,
    /// The amount of output.
    pub output: OutputSize,
    /// Its follow-up.
    pub follow_up: FollowUp,
}

/// The state of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Created; no supervisor has recorded a process yet.
    Starting,
    /// Its main process is running, or its end is being recorded.
    Running(Started),
    /// It has finished.
    Finished(Finished),
}

/// The main process of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Process id of its main process.
    pub pid: u32,
    /// When that process was created.
    pub started_at: Timestamp,
}

/// The result of a finished job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Its process; `None` if it never had one.
    pub started: Option<Started>,
    /// When its main process ended. If that was not observed, when the loss was detected.
    pub ended_at: Timestamp,
    /// Time from start to end on a monotonic clock; `None` if one of the two was not observed.
    pub duration: Option<Duration>,
    /// Processor time of all processes that were reaped (wait4(2)).
    pub cpu: Option<Duration>,
    /// Largest resident memory of one of its processes, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Processes that survived the main process, as many as fit the record.
    pub leftovers: Vec<Leftover>,
    /// Number of further leftovers.
    pub leftovers_omitted: u32,
    /// What recovery must still do if the supervisor died; `None` for nothing.
    pub recovery: Option<Recovery>,
}

/// Number of bytes of output, and how many were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSize {
    /// Bytes the job has written.
    pub total_bytes: u64,
    /// Bytes between the kept head and the kept tail, overwritten by later output.
    pub omitted_bytes: u64,
    /// Bytes that could not be stored, because the disk was full.
    pub dropped_bytes: u64,
}

/// The name of a state, for filters and for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// [`JobState::Starting`].
    Starting,
    /// [`JobState::Running`].
    Running,
    /// [`JobState::Finished`].
    Finished,
}

impl StateName {
    /// Every state.
    pub const ALL: [StateName; 3] = [StateName::Starting, StateName::Running, StateName::Finished];

    /// Returns the name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Starting => "starting",
            StateName::Running => "running",
            StateName::Finished => "finished",
        }
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<StateName> {
        StateName::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl JobState {
    /// Returns the name of this state.
    pub fn name(&self) -> StateName {
        match self {
            JobState::Starting => StateName::Starting,
            JobState::Running(_) => StateName::Running,
            JobState::Finished(_) => StateName::Finished,
        }
    }

    /// Returns the main process; `None` if there is none yet.
    pub fn started(&self) -> Option<Started> {
        match self {
            JobState::Starting => None,
            JobState::Running(started) => Some(*started),
            JobState::Finished(finished) => finished.started,
        }
    }

    /// Returns the result; `None` if the job has not finished.
    pub fn finished(&self) -> Option<&Finished> {
        match self {
            JobState::Starting | JobState::Running(_) => None,
            JobState::Finished(finished) => Some(finished),
        }
    }
}

impl Job {
    /// Returns the origin of a kill request by `caller`: the job's own session, which is then not notified, or an
    /// operator.
    pub fn killer(&self, caller: &SessionId) -> KilledBy {
        if self.session == *caller { KilledBy::Session } else { KilledBy::Operator }
    }

    /// Whether the job has finished without running its command. The caller of the launch has received that result.
    pub fn never_ran(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::FailedToStart { .. } | Outcome::Lost { .. }))
            && self.state.started().is_none()
    }

    /// Whether the job has finished and its result is not acknowledged.
    pub fn is_unread(&self) -> bool {
        self.outcome().is_some() && self.follow_up.state.is_open()
    }

    /// Returns the outcome; `None` if the job has not finished.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.state.finished().map(|finished| &finished.outcome)
    }

    /// Returns the time at which the timeout ends the job, if it is running and has a timeout.
    pub fn ends_by(&self) -> Option<Timestamp> {
        let JobState::Running(started) = self.state else { return None };
        let timeout = i64::try_from(self.limits.timeout?.as_millis()).ok()?;
        Some(Timestamp::from_unix_millis(started.started_at.as_unix_millis().saturating_add(timeout)))
    }
}
