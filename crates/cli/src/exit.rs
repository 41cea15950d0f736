//! Why a command failed, and the exit statuses.

use std::io;

use homing::Error;
use homing_supervisor::platform::errors::is_reader_gone;

/// The operation failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments are invalid.
const USAGE: u8 = 2;
/// The job does not exist.
const NO_SUCH_JOB: u8 = 3;
/// The id prefix matches several jobs.
const AMBIGUOUS_JOB: u8 = 4;
/// No job of the session runs and no result is undelivered: "no input" (EX_NOINPUT of sysexits.h).
pub(crate) const NOTHING_DUE: u8 = 66;
/// The caller of a waiting command is gone: as after SIGHUP.
pub(crate) const CALLER_GONE: u8 = 129;
/// The job succeeded, but a part of its output is missing: "input or output error" (EX_IOERR of sysexits.h).
pub(crate) const INCOMPLETE: u8 = 74;
/// The job has not finished: "try again later" (EX_TEMPFAIL of sysexits.h).
pub(crate) const NOT_FINISHED: u8 = 75;

/// The reader of the output is gone, as for a program that SIGPIPE ends: 128 + 13.
pub(crate) const READER_GONE: u8 = 141;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Library(Box<Error>),
    /// The arguments are invalid.
    Usage {
        /// Error code for programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What the user can do.
        hint: Option<String>,
    },
    /// The command refused to act, for a reason outside the library.
    Refused {
        /// Error code for programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What the user can do.
        hint: Option<String>,
    },
    /// Writing the output failed.
    Write(io::Error),
    /// The reader closed standard output, as in `homing list | head -1`.
    ReaderGone,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Library(Box::new(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if is_reader_gone(&error) { Failure::ReaderGone } else { Failure::Write(error) }
    }
}

impl Failure {
    /// The exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Failure::Library(error) => status_of(error),
            Failure::Usage { .. } => USAGE,
            Failure::Refused { .. } | Failure::Write(_) => FAILED,
            Failure::ReaderGone => 0,
        }
    }
}

fn status_of(error: &Error) -> u8 {
    match error {
        Error::NoSuchJob(_) | Error::NoSuchJobInSession { .. } => NO_SUCH_JOB,
        Error::AmbiguousJob { .. } => AMBIGUOUS_JOB,
        Error::InvalidId(_)
        | Error::InvalidCommand(_)
        | Error::InvalidDirectory { .. }
        | Error::NoSuchSink { .. }
        | Error::NoSuchExecutor { .. }
        | Error::MissingVariables { .. }
        | Error::InvalidRequest(_) => USAGE,
        _ => FAILED,
    }
}
