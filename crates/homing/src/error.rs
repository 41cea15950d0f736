//! The errors of this library. Each has a message for the user and a code for programs, some also a hint.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use homing_core::{CommandError, IdError, JobId, StateName, TransitionError};
use homing_supervisor::DiskError;

use crate::config::ConfigRefusal;

/// Every error of this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No job has an id with this prefix.
    #[error("no job {0}")]
    NoSuchJob(String),
    /// Several jobs have ids with this prefix.
    #[error("{prefix} is ambiguous: it matches {} jobs: {}", candidates.len(), list(candidates))]
    AmbiguousJob {
        /// The prefix.
        prefix: String,
        /// The matching jobs, at most ten.
        candidates: Vec<JobId>,
    },
    /// The id of a job, session, key or wake is malformed.
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
        hint: String,
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
        source: rusqlite::Error,
    },
    /// The request is invalid in the follow-up's current state.
    #[error("job {job}: {source}")]
    FollowUpConflict {
        /// The job.
        job: JobId,
        /// Why the transition is invalid.
        source: TransitionError,
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
            Error::NoSuchJob(_) => "no_such_job",
            Error::AmbiguousJob { .. } => "ambiguous_job",
            Error::InvalidId(_) => "invalid_id",
            Error::InvalidCommand(_) => "invalid_command",
            Error::InvalidDirectory { .. } => "invalid_directory",
            Error::NoSuchSink { .. } => "no_such_sink",
            Error::KeyTaken { .. } => "key_taken",
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
            Error::NotFinishedInTime { .. } => "not_finished_in_time",
            Error::JobUnreadable { .. } => "job_unreadable",
            Error::CannotSignal { .. } => "cannot_signal",
        }
    }

    /// What the user can do, if anything.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoSuchJob(_) => "run `homing list` to see all jobs".to_owned(),
            Error::AmbiguousJob { .. } => "use a longer prefix of the id".to_owned(),
            Error::InvalidId(IdError::NotAJobId(_)) => {
                "use a 12-character job id or a prefix of one; run `homing list` to see all jobs".to_owned()
            }
            Error::InvalidCommand(CommandError::Empty) => {
                "pass a script, for example: homing run 'sleep 5; echo done'".to_owned()
            }
            Error::InvalidDirectory { .. } => "pass an existing directory with --cwd".to_owned(),
            Error::NoSuchSink { known, .. } if known.is_empty() => {
                "add a table [sinks.NAME] to config.toml".to_owned()
            }
            Error::NoSuchSink { known, .. } => format!("configured sinks: {}", known.join(", ")),
            Error::KeyTaken { job, .. } => {
                format!(
                    "choose a different key, or run `homing show {job}` to see the job that uses this key"
                )
            }
            Error::HomeRefused { hint, .. } => hint.clone(),
            Error::HomeReplaced { .. } => {
                "restart this command or process; earlier jobs are in the directory that was moved away"
                    .to_owned()
            }
            Error::ConfigRefused(ConfigRefusal { hint, .. })
            | Error::SecretRefused { hint: Some(hint), .. } => hint.clone(),
            Error::NoHome => "set HOMING_HOME to a directory that you own".to_owned(),
            Error::Disk(error) if error.is_unsupported() => "update this program".to_owned(),
            Error::Disk(error) if error.source.kind() == io::ErrorKind::StorageFull => {
                "the disk is full; run `homing prune` to delete old jobs".to_owned()
            }
            Error::Disk(error)
                if matches!(
                    error.source.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                "set HOMING_HOME to a directory that you can write to".to_owned()
            }
            Error::Ledger { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                "the disk is full; run `homing prune` to delete old jobs".to_owned()
            }
            Error::NoSupervisorProgram { .. } => {
                "install the homing program, or set HOMING_SUPERVISOR to its path".to_owned()
            }
            Error::LedgerBusy { path, .. } => format!(
                "running jobs are not affected; run `fuser -v {}` to see which process holds the lock",
                path.display()
            ),
            Error::JobUnreadable { .. } => "run `homing doctor` to check every job".to_owned(),
            Error::Unsupported { .. } => "update this program".to_owned(),
            Error::LedgerTooNew { .. } => {
                "update this program, or set HOMING_HOME to another directory".to_owned()
            }
            Error::InvalidId(IdError::NotASessionId(_) | IdError::NotAJobKey(_) | IdError::NotAWakeId(_))
            | Error::InvalidCommand(CommandError::Nul)
            | Error::InvalidRequest(_)
            | Error::InvalidConfig { .. }
            | Error::SecretRefused { hint: None, .. }
            | Error::Disk(_)
            | Error::SupervisorNotStarted { .. }
            | Error::Ledger { .. }
            | Error::FollowUpConflict { .. }
            | Error::NotFinishedInTime { .. }
            | Error::CannotSignal { .. } => return None,
        };
        Some(hint)
    }
}

fn list(candidates: &[JobId]) -> String {
    let names: Vec<&str> = candidates.iter().map(JobId::as_str).collect();
    names.join(", ")
}
