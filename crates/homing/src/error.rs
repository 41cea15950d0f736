//! What can go wrong, in words for the user, with a code for programs and a hint where the user can act.

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
    /// No job has that id, or an id that begins like that.
    #[error("no job {0}")]
    NoSuchJob(String),
    /// Several jobs have an id that begins like that.
    #[error("{prefix} could be any of {} jobs: {}", candidates.len(), list(candidates))]
    AmbiguousJob {
        /// What was typed.
        prefix: String,
        /// The jobs it could mean, at most ten.
        candidates: Vec<JobId>,
    },
    /// What should name a job or a session does not.
    #[error(transparent)]
    InvalidId(#[from] IdError),
    /// What should be run cannot be.
    #[error(transparent)]
    InvalidCommand(#[from] CommandError),
    /// The working directory is no directory.
    #[error("cannot run in {}: {source}", path.display())]
    InvalidDirectory {
        /// The directory asked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The job names a sink that is not configured.
    #[error("no sink {name:?} is configured")]
    NoSuchSink {
        /// What was named.
        name: String,
        /// The sinks there are.
        known: Vec<String>,
    },
    /// The key belongs to a job that was launched with another request.
    #[error("key {key:?} belongs to job {job}, which was launched with another {}", differences.join(", "))]
    KeyTaken {
        /// The key.
        key: String,
        /// The job that was launched under it.
        job: JobId,
        /// What differs.
        differences: Vec<&'static str>,
    },
    /// Something else of the request cannot be.
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
    #[error("home {} is not the directory any more that this process opened", path.display())]
    HomeReplaced {
        /// The home.
        path: PathBuf,
    },
    /// No place for a home is known.
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
    /// Somebody else could have written the configuration.
    #[error(transparent)]
    ConfigRefused(ConfigRefusal),
    /// A file that holds a secret of a sink cannot be used.
    #[error("cannot use secret file {}: {reason}", path.display())]
    SecretRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never what it says.
        reason: String,
        /// What the user can do, where there is something.
        hint: Option<String>,
    },
    /// Something on disk could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no program to supervise jobs.
    #[error("no supervisor program found (looked for {looked_for})")]
    NoSupervisorProgram {
        /// Where it was looked for.
        looked_for: String,
    },
    /// The supervisor could not be started; nothing ran.
    #[error("cannot start supervisor {}: {source}", program.display())]
    SupervisorNotStarted {
        /// The program.
        program: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Another process holds the ledger's lock.
    #[error("the ledger {} is locked by another process; waited {:?}", path.display(), waited)]
    LedgerBusy {
        /// The ledger.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A newer homing made the ledger.
    #[error("the ledger {} has version {found}, this program knows up to {known}", path.display())]
    LedgerTooNew {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// A newer homing wrote the job in a way that is not known here. It is left alone.
    #[error("job {job} was written by a newer program: {reason}")]
    Unsupported {
        /// The job.
        job: JobId,
        /// What is not known.
        reason: String,
    },
    /// The ledger answered with an error.
    #[error("ledger {}: {source}", path.display())]
    Ledger {
        /// The ledger.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A follow-up's state has no answer to what was asked.
    #[error("job {job}: {source}")]
    FollowUpConflict {
        /// The job.
        job: JobId,
        /// Why not.
        source: TransitionError,
    },
    /// The job did not get where it was to go in time.
    #[error("job {job} is still {} after {waited:?}", state.as_str())]
    NotFinishedInTime {
        /// The job.
        job: JobId,
        /// Where it is.
        state: StateName,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The job is there, and cannot be read.
    #[error("job {job} cannot be read: {reason}")]
    JobUnreadable {
        /// The job.
        job: JobId,
        /// Why, for people.
        reason: String,
    },
    /// The job's supervisor could not be asked.
    #[error("cannot signal the supervisor of job {job}: {source}")]
    CannotSignal {
        /// The job.
        job: JobId,
        /// What the system answered.
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
            Error::NotFinishedInTime { .. } => "still_not_over",
            Error::JobUnreadable { .. } => "job_unreadable",
            Error::CannotSignal { .. } => "cannot_signal",
        }
    }

    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Error::NoSuchJob(_) => "homing list shows the jobs there are".to_owned(),
            Error::AmbiguousJob { .. } => "type more characters of the id".to_owned(),
            Error::InvalidId(IdError::NotAJobId(_)) => {
                "a job is named by its 12-character id or the beginning of it; homing list shows them"
                    .to_owned()
            }
            Error::InvalidCommand(CommandError::Empty) => {
                "give a script, such as: homing run 'sleep 5; echo done'".to_owned()
            }
            Error::InvalidDirectory { .. } => "name an existing directory with --cwd".to_owned(),
            Error::NoSuchSink { known, .. } if known.is_empty() => {
                "a sink is a table [sinks.NAME] in config.toml".to_owned()
            }
            Error::NoSuchSink { known, .. } => format!("there are: {}", known.join(", ")),
            Error::KeyTaken { job, .. } => {
                format!("choose another key; homing show {job} shows the job that has this one")
            }
            Error::HomeRefused { hint, .. } => hint.clone(),
            Error::HomeReplaced { .. } => {
                "open it again (start the command or the process anew); jobs launched before are where the old one was moved to"
                    .to_owned()
            }
            Error::ConfigRefused(ConfigRefusal { hint, .. })
            | Error::SecretRefused { hint: Some(hint), .. } => hint.clone(),
            Error::NoHome => "set HOMING_HOME to a directory of your own".to_owned(),
            Error::Disk(error) if error.is_unsupported() => "update this program".to_owned(),
            Error::Disk(error) if error.source.kind() == io::ErrorKind::StorageFull => {
                "the disk is full: homing prune removes old jobs".to_owned()
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
                "the disk is full: homing prune removes old jobs".to_owned()
            }
            Error::NoSupervisorProgram { .. } => {
                "install the homing program, or name it with HOMING_SUPERVISOR".to_owned()
            }
            Error::LedgerBusy { path, .. } => format!(
                "jobs start and end all the same; to see who holds the lock: fuser -v {}",
                path.display()
            ),
            Error::JobUnreadable { .. } => "homing doctor looks at every job".to_owned(),
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
