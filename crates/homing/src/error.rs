//! The errors of this library. Each has a message for the user and a code for programs, some also a hint.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use homing_core::text::flatten;
use homing_core::{
    CommandError, FollowUpState, IdError, JobId, JobRef, SessionId, StateName, TransitionError, WakeId,
};
use homing_supervisor::DiskError;
use homing_supervisor::platform::StartRefused;

use crate::hint::Hint;

/// An error of SQLite.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LedgerError(Box<rusqlite::Error>);

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> LedgerError {
        LedgerError(Box::new(error))
    }
}

impl LedgerError {
    fn is_disk_full(&self) -> bool {
        self.0.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
    }
}

/// Why a configuration is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot trust the configuration {}: {reason}", path.display())]
pub struct ConfigRefusal {
    /// The path, as the user named it.
    pub path: PathBuf,
    /// Who can change it.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

/// Why a job is not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotRemovable {
    /// It has not finished.
    Unfinished(StateName),
    /// Its result is not acknowledged.
    Unacknowledged(FollowUpState),
    /// It left processes that still run, or that recovery has not looked for yet.
    ProcessesLeft,
}

/// Why a host can no longer answer a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseLoss {
    /// It expired before the answer. The attempt has failed.
    Expired,
    /// The host has answered it before, with another answer.
    AnsweredBefore,
    /// The wake was never leased under this id, or the record of that lease was replaced by a later attempt.
    NotHeld,
}

/// Every error of this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No job has an id with this prefix.
    #[error("no job {0}")]
    NoSuchJob(String),
    /// No wake has this id, or a newer program wrote it in a state that this one does not know.
    #[error("no wake {0}")]
    NoSuchWake(WakeId),
    /// The answer of a host came too late, or names another lease. It is not recorded.
    #[error("{}", lease_lost(*wake, *loss))]
    LeaseLost {
        /// The wake.
        wake: WakeId,
        /// Why the lease is lost.
        loss: LeaseLoss,
    },
    /// The session has no such job.
    #[error("{}", not_in_session(reference, session))]
    NoSuchJobInSession {
        /// A name, or the newest job.
        reference: JobRef,
        /// The session whose jobs were searched.
        session: SessionId,
    },
    /// Several jobs have ids with this prefix.
    #[error("{prefix} is ambiguous: it matches {} jobs: {}", candidates.len(), list(candidates))]
    AmbiguousJob {
        /// The prefix.
        prefix: String,
        /// The matching jobs, at most ten.
        candidates: Vec<JobId>,
    },
    /// The id of a job, session, key or wake, or a cursor of events, is malformed.
    #[error(transparent)]
    InvalidId(#[from] IdError),
    /// The command cannot be run.
    #[error(transparent)]
    InvalidCommand(#[from] CommandError),
    /// The working directory is not a usable directory.
    #[error("cannot run in {}: {source}", path.display())]
    InvalidDirectory {
        /// The requested directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The job names a sink that is not configured.
    #[error("no sink {name:?} is configured")]
    NoSuchSink {
        /// The unknown name.
        name: String,
        /// The configured sinks.
        known: Vec<String>,
    },
    /// The job names an executor that is not configured.
    #[error("no executor {name:?} is configured")]
    NoSuchExecutor {
        /// The unknown name.
        name: String,
        /// The configured executors.
        known: Vec<String>,
    },
    /// An executor did not answer. What runs there is not affected.
    #[error("executor {executor} cannot be reached: {reason}")]
    ExecutorUnreachable {
        /// Its name.
        executor: String,
        /// What ssh(1) or the program there said.
        reason: String,
        /// What the user can do, if that is known.
        hint: Option<String>,
    },
    /// An executor answered that it cannot do what it was asked for.
    #[error("executor {executor}: {message}")]
    ExecutorRefused {
        /// Its name.
        executor: String,
        /// Its words.
        message: String,
        /// What the user can do, if that is known.
        hint: Option<String>,
    },
    /// The key belongs to a job that was launched with a different request.
    #[error("key {key:?} belongs to job {job}, which was launched with a different {}", differences.join(", "))]
    KeyTaken {
        /// The key.
        key: String,
        /// The job launched under the key.
        job: JobId,
        /// The parts of the request that differ.
        differences: Vec<&'static str>,
    },
    /// The request repeats a job without variables that the job had. Their values are not stored.
    #[error(
        "job {job} was launched with variables whose values are not stored: {}",
        names.iter().map(|name| flatten(name)).collect::<Vec<_>>().join(", ")
    )]
    MissingVariables {
        /// The repeated job.
        job: JobId,
        /// The names of the variables.
        names: Vec<String>,
    },
    /// The request is invalid for another reason.
    #[error("{0}")]
    InvalidRequest(String),
    /// The home cannot be used safely.
    #[error("cannot use home {}: {reason}", path.display())]
    HomeRefused {
        /// The home.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What the user can do.
        hint: Hint,
    },
    /// The home was renamed, removed or replaced after this process opened it.
    #[error("home {} was moved or replaced after this process opened it", path.display())]
    HomeReplaced {
        /// The home.
        path: PathBuf,
    },
    /// The environment does not name a home.
    #[error("no home directory: neither HOMING_HOME, XDG_STATE_HOME nor HOME is set")]
    NoHome,
    /// The configuration is wrong.
    #[error("invalid configuration {}: {message}", path.display())]
    InvalidConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// Another user can write to the configuration.
    #[error(transparent)]
    ConfigRefused(ConfigRefusal),
    /// A file that holds a secret of a sink cannot be used.
    #[error("cannot use secret file {}: {reason}", path.display())]
    SecretRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it. Never contains the secret.
        reason: String,
        /// What the user can do, if anything.
        hint: Option<String>,
    },
    /// A file or directory could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No supervisor program was found.
    #[error("cannot find a supervisor program (searched: {looked_for})")]
    NoSupervisorProgram {
        /// Where homing searched.
        looked_for: String,
    },
    /// The supervisor could not be started. The command did not run.
    #[error("cannot start supervisor {}: {source}", program.display())]
    SupervisorNotStarted {
        /// The program.
        program: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another process holds the ledger's lock.
    #[error("the ledger {} is locked by another process; waited {:?}", path.display(), waited)]
    LedgerBusy {
        /// The ledger.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// A newer homing created the ledger.
    #[error("the ledger {} has version {found}; this program supports versions up to {known}", path.display())]
    LedgerTooNew {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that this program supports.
        known: u32,
    },
    /// A newer homing wrote the job in a format that this program does not support. The job is not changed.
    #[error("job {job} was written by a newer program: {reason}")]
    Unsupported {
        /// The job.
        job: JobId,
        /// What is not supported.
        reason: String,
    },
    /// SQLite reported an error.
    #[error("ledger {}: {source}", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// The error of SQLite.
        source: LedgerError,
    },
    /// The request is invalid in the follow-up's current state.
    #[error("job {job}: {source}")]
    FollowUpConflict {
        /// The job.
        job: JobId,
        /// Why the transition is invalid.
        source: TransitionError,
    },
    /// The job is not deleted.
    #[error("cannot delete job {job}: {}", reason_text(*reason))]
    NotRemovable {
        /// The job.
        job: JobId,
        /// What it still needs.
        reason: NotRemovable,
    },
    /// The job did not reach the expected state in time.
    #[error("job {job} is still {} after {waited:?}", state.as_str())]
    NotFinishedInTime {
        /// The job.
        job: JobId,
        /// Its current state.
        state: StateName,
        /// How long this process waited.
        waited: Duration,
    },
    /// The job exists but cannot be read.
    #[error("job {job} cannot be read: {reason}")]
    JobUnreadable {
        /// The job.
        job: JobId,
        /// Why, as a text for the user.
        reason: String,
    },
    /// The job's supervisor could not be signalled.
    #[error("cannot signal the supervisor of job {job}: {source}")]
    CannotSignal {
        /// The job.
        job: JobId,
        /// The error of the system.
        source: io::Error,
    },
}

/// Shorthand for results of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A name for programs, stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NoSuchJob(_) | Error::NoSuchJobInSession { .. } => "no_such_job",
            Error::AmbiguousJob { .. } => "ambiguous_job",
            Error::NoSuchWake(_) => "no_such_wake",
            Error::LeaseLost { .. } => "lease_lost",
            Error::InvalidId(_) => "invalid_id",
            Error::InvalidCommand(_) => "invalid_command",
            Error::InvalidDirectory { .. } => "invalid_directory",
            Error::NoSuchSink { .. } => "no_such_sink",
            Error::NoSuchExecutor { .. } => "no_such_executor",
            Error::ExecutorUnreachable { .. } => "executor_unreachable",
            Error::ExecutorRefused { .. } => "executor_refused",
            Error::KeyTaken { .. } => "key_taken",
            Error::MissingVariables { .. } => "missing_variables",
            Error::InvalidRequest(_) => "invalid_request",
            Error::HomeRefused { .. } | Error::NoHome => "home_refused",
            Error::HomeReplaced { .. } => "home_replaced",
            Error::InvalidConfig { .. } => "invalid_config",
            Error::ConfigRefused(_) => "config_refused",
            Error::SecretRefused { .. } => "secret_refused",
            Error::Disk(_) => "disk",
            Error::NoSupervisorProgram { .. } | Error::SupervisorNotStarted { .. } => {
                "supervisor_not_started"
            }
            Error::LedgerBusy { .. } => "ledger_busy",
            Error::LedgerTooNew { .. } => "ledger_too_new",
            Error::Unsupported { .. } => "unsupported",
            Error::Ledger { .. } => "ledger",
            Error::FollowUpConflict { .. } => "follow_up_conflict",
            Error::NotRemovable { .. } => "not_removable",
            Error::NotFinishedInTime { .. } => "not_finished_in_time",
            Error::JobUnreadable { .. } => "job_unreadable",
            Error::CannotSignal { .. } => "cannot_signal",
        }
    }

    /// What the caller can do, if anything.
    pub fn hint(&self) -> Option<Hint> {
        Some(match self {
            Error::NoSuchJob(_) => Hint::ListJobs,
            Error::NoSuchWake(_) => Hint::ListWakes,
            Error::LeaseLost { .. } => Hint::DiscardWake,
            Error::NoSuchJobInSession { .. } => Hint::NameSession,
            Error::NotRemovable { job, reason } => match reason {
                NotRemovable::Unfinished(_) | NotRemovable::ProcessesLeft => Hint::KillFirst(*job),
                NotRemovable::Unacknowledged(_) => Hint::AcknowledgeFirst(*job),
            },
            Error::AmbiguousJob { .. } => Hint::UseLongerPrefix,
            Error::InvalidId(IdError::NotAJobId(_) | IdError::ShortPrefix(_) | IdError::NotAJobRef(_)) => {
                Hint::UseJobId
            }
            Error::InvalidId(IdError::NotAJobName { .. }) => Hint::UseName,
            Error::InvalidCommand(CommandError::Empty) => Hint::GiveScript,
            Error::InvalidDirectory { .. } => Hint::GiveExistingDirectory,
            Error::NoSuchSink { known, .. } if known.is_empty() => Hint::ConfigureSink,
            Error::NoSuchSink { known, .. } => Hint::UseSink(known.clone()),
            Error::NoSuchExecutor { known, .. } if known.is_empty() => Hint::ConfigureExecutor,
            Error::NoSuchExecutor { known, .. } => Hint::UseExecutor(known.clone()),
            Error::ExecutorUnreachable { hint: Some(hint), .. }
            | Error::ExecutorRefused { hint: Some(hint), .. } => Hint::Text(hint.clone()),
            Error::KeyTaken { job, .. } => Hint::UseOtherKey(*job),
            Error::MissingVariables { job, names } => {
                Hint::SetVariables(*job, names.iter().map(|name| flatten(name)).collect())
            }
            Error::HomeRefused { hint, .. } => hint.clone(),
            Error::ConfigRefused(ConfigRefusal { hint, .. })
            | Error::SecretRefused { hint: Some(hint), .. } => Hint::Text(hint.clone()),
            Error::HomeReplaced { .. } => Hint::ReopenHome,
            Error::NoHome => Hint::SetHome,
            Error::Disk(error) if error.is_unsupported() => Hint::Update,
            Error::Disk(error) if error.source.kind() == io::ErrorKind::StorageFull => Hint::FreeDiskSpace,
            Error::Disk(error)
                if matches!(
                    error.source.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                Hint::UseWritableHome
            }
            Error::Ledger { source, .. } if source.is_disk_full() => Hint::FreeDiskSpace,
            Error::NoSupervisorProgram { .. } => Hint::InstallProgram,
            Error::SupervisorNotStarted { source, .. } => {
                Hint::Text(StartRefused::hint_of(source)?.to_owned())
            }
            Error::LedgerBusy { path, .. } => Hint::FindLockHolder(path.clone()),
            Error::JobUnreadable { .. } => Hint::CheckJobs,
            Error::Unsupported { .. } => Hint::Update,
            Error::LedgerTooNew { .. } => Hint::UpdateOrUseOtherHome,
            Error::InvalidId(
                IdError::NotASessionId(_)
                | IdError::NotAJobKey(_)
                | IdError::NotAWakeId(_)
                | IdError::NotALeaseId(_)
                | IdError::NotAnEventCursor(_),
            )
            | Error::InvalidCommand(CommandError::Nul)
            | Error::InvalidRequest(_)
            | Error::InvalidConfig { .. }
            | Error::SecretRefused { hint: None, .. }
            | Error::ExecutorUnreachable { hint: None, .. }
            | Error::ExecutorRefused { hint: None, .. }
            | Error::Disk(_)
            | Error::Ledger { .. }
            | Error::FollowUpConflict { .. }
            | Error::NotFinishedInTime { .. }
            | Error::CannotSignal { .. } => return None,
        })
    }
}

fn not_in_session(reference: &JobRef, session: &SessionId) -> String {
    match reference {
        JobRef::Last => format!("session {session} has no jobs"),
        JobRef::Id(_) | JobRef::Name(_) => format!("session {session} has no job named {reference}"),
    }
}

fn lease_lost(wake: WakeId, loss: LeaseLoss) -> String {
    match loss {
        LeaseLoss::Expired => format!("the lease of wake {wake} has expired"),
        LeaseLoss::AnsweredBefore => {
            format!("the lease of wake {wake} was answered before, with another answer")
        }
        LeaseLoss::NotHeld => format!("wake {wake} is not held under this lease"),
    }
}

fn reason_text(reason: NotRemovable) -> String {
    match reason {
        NotRemovable::Unfinished(state) => format!("it is {}", state.as_str()),
        NotRemovable::Unacknowledged(state) => {
            format!("its result is not acknowledged (follow-up {state})")
        }
        NotRemovable::ProcessesLeft => "processes that it left may still run".to_owned(),
    }
}

fn list(candidates: &[JobId]) -> String {
    let names: Vec<&str> = candidates.iter().map(JobId::as_str).collect();
    names.join(", ")
}
