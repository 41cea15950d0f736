//! One job as it is known, and the document (`homing.job/1`) that every door shows of it.

use std::path::PathBuf;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::{
    FollowUp, FollowUpPolicy, JobCommand, JobId, JobKey, JobLimits, KilledBy, Leftover, LeftoverPolicy,
    Outcome, Recovery, SessionId, Timestamp, as_millis,
};

/// One job: what was asked, how far it is, and what is owed to its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The session that launched it.
    pub session: SessionId,
    /// The key it was launched under, where it has one.
    pub key: Option<JobKey>,
    /// What a person calls it.
    pub name: Option<String>,
    /// What it runs.
    pub command: JobCommand,
    /// The directory it runs in.
    pub cwd: PathBuf,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Its bounds.
    pub limits: JobLimits,
    /// What happens to processes that outlive its main process.
    pub leftovers: LeftoverPolicy,
    /// When its session hears of its end.
    pub follow_up_policy: FollowUpPolicy,
    /// The agent harness it was launched from, where one is known.
    pub harness: Option<String>,
    /// The sink that its session is woken through, where it names one.
    pub sink: Option<String>,
    /// How far it is.
    pub state: JobState,
    /// How much it has written.
    pub output: OutputSize,
    /// What is owed to its session.
    pub follow_up: FollowUp,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Asked for; no supervisor has recorded a process yet.
    Starting,
    /// Its main process runs, or its end is being recorded.
    Running(Started),
    /// It is over.
    Finished(Finished),
}

/// What is known of a job once its process exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// Process id of its main process.
    pub pid: u32,
    /// When that process was made.
    pub started_at: Timestamp,
}

/// What is known of a job that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Its process, unless it never had one.
    pub started: Option<Started>,
    /// When its main process ended; where nobody saw that, when the loss was noticed.
    pub ended_at: Timestamp,
    /// From start to end on a clock that does not jump; `None` where nobody saw both.
    pub duration: Option<Duration>,
    /// Processor time of the whole tree, as far as it was waited for (wait4(2)).
    pub cpu: Option<Duration>,
    /// Largest resident memory of one of its processes, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Processes that outlived the main process, as many as the record has room for.
    pub leftovers: Vec<Leftover>,
    /// How many more there were.
    pub leftovers_omitted: u32,
    /// What is left to do where its supervisor died; `None` where nothing is.
    pub recovery: Option<Recovery>,
}

/// How many bytes of output there are, and where they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutputSize {
    /// Bytes the job has written.
    pub total_bytes: u64,
    /// Bytes between the kept head and the kept tail that were overwritten by later ones.
    pub omitted_bytes: u64,
    /// Bytes that could not be stored, because the disk was full.
    pub dropped_bytes: u64,
}

/// The name of a state, for filters and for display.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// See [`JobState::Starting`].
    Starting,
    /// See [`JobState::Running`].
    Running,
    /// See [`JobState::Finished`].
    Finished,
}

impl StateName {
    /// Every state.
    pub const ALL: [StateName; 3] = [StateName::Starting, StateName::Running, StateName::Finished];

    /// The name in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Starting => "starting",
            StateName::Running => "running",
            StateName::Finished => "finished",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<StateName> {
        StateName::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl JobState {
    /// The name of this state.
    pub fn name(&self) -> StateName {
        match self {
            JobState::Starting => StateName::Starting,
            JobState::Running(_) => StateName::Running,
            JobState::Finished(_) => StateName::Finished,
        }
    }

    /// The process, once there is one.
    pub fn started(&self) -> Option<Started> {
        match self {
            JobState::Starting => None,
            JobState::Running(started) => Some(*started),
            JobState::Finished(finished) => finished.started,
        }
    }

    /// What is known of the end, once there is one.
    pub fn finished(&self) -> Option<&Finished> {
        match self {
            JobState::Starting | JobState::Running(_) => None,
            JobState::Finished(finished) => Some(finished),
        }
    }
}

impl Job {
    /// Who ends it when this session asks for that: its own session, which then need not be told, or somebody else.
    pub fn killer(&self, caller: &SessionId) -> KilledBy {
        if self.session == *caller { KilledBy::Session } else { KilledBy::Operator }
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.state.finished().map(|finished| &finished.outcome)
    }

    /// When it will be ended at the latest, while it runs and has a limit.
    pub fn ends_by(&self) -> Option<Timestamp> {
        let JobState::Running(started) = self.state else { return None };
        let timeout = i64::try_from(self.limits.timeout?.as_millis()).ok()?;
        Some(Timestamp::from_unix_millis(started.started_at.as_unix_millis().saturating_add(timeout)))
    }
}

/// The document `homing.job/1`. Fields are only ever added.
impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let started = self.state.started();
        let finished = self.state.finished();
        let no_leftovers = Vec::new();
        let mut job = serializer.serialize_struct("Job", 22)?;
        job.serialize_field("schema", "homing.job/1")?;
        job.serialize_field("id", &self.id)?;
        job.serialize_field("session", &self.session)?;
        job.serialize_field("key", &self.key)?;
        job.serialize_field("name", &self.name)?;
        job.serialize_field("command", &self.command.to_string())?;
        job.serialize_field("cwd", &self.cwd)?;
        job.serialize_field("state", self.state.name().as_str())?;
        job.serialize_field("outcome", &self.outcome())?;
        job.serialize_field("succeeded", &self.outcome().map(Outcome::succeeded))?;
        job.serialize_field("pid", &started.map(|started| started.pid))?;
        job.serialize_field("created_at", &self.created_at)?;
        job.serialize_field("started_at", &started.map(|started| started.started_at))?;
        job.serialize_field("ended_at", &finished.map(|finished| finished.ended_at))?;
        job.serialize_field("duration_ms", &finished.and_then(|finished| finished.duration).map(as_millis))?;
        job.serialize_field("timeout_ms", &self.limits.timeout.map(as_millis))?;
        job.serialize_field("cpu_ms", &finished.and_then(|finished| finished.cpu).map(as_millis))?;
        job.serialize_field("peak_memory_bytes", &finished.and_then(|finished| finished.peak_memory_bytes))?;
        job.serialize_field("leftovers", finished.map_or(&no_leftovers, |finished| &finished.leftovers))?;
        match finished.map_or(0, |finished| finished.leftovers_omitted) {
            0 => job.skip_field("leftovers_omitted")?,
            omitted => job.serialize_field("leftovers_omitted", &omitted)?,
        }
        match finished.and_then(|finished| finished.recovery) {
            None => job.skip_field("recovery")?,
            Some(recovery) => job.serialize_field("recovery", &recovery)?,
        }
        job.serialize_field("output", &self.output)?;
        job.serialize_field("follow_up", &self.follow_up)?;
        job.end()
    }
}
