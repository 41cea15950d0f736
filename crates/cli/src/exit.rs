//! Exit statuses, and how errors and notes are printed. Contains no rules about jobs.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::Error;
use serde::Serialize;

use crate::render::style::{ERROR, HINT};
use crate::render::{indented, print_json};

/// The operation failed.
pub(crate) const FAILED: u8 = 1;
/// The arguments are invalid.
const USAGE: u8 = 2;
/// The job does not exist.
const NO_SUCH_JOB: u8 = 3;
/// The id prefix matches several jobs.
const AMBIGUOUS_JOB: u8 = 4;
/// The job has not finished: "try again later" (EX_TEMPFAIL of sysexits.h).
pub(crate) const NOT_FINISHED: u8 = 75;

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
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Failure::Write(error),
        }
    }
}

impl Failure {
    fn status(&self) -> u8 {
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
        Error::NoSuchJob(_) => NO_SUCH_JOB,
        Error::AmbiguousJob { .. } => AMBIGUOUS_JOB,
        Error::InvalidId(_)
        | Error::InvalidCommand(_)
        | Error::InvalidDirectory { .. }
        | Error::NoSuchSink { .. }
        | Error::InvalidRequest(_) => USAGE,
        _ => FAILED,
    }
}

/// An error as JSON.
#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Prints a failure, and returns the exit status.
pub(crate) fn report(failure: &Failure, as_json: bool) -> ExitCode {
    let status = ExitCode::from(failure.status());
    let (code, message, hint) = match failure {
        Failure::Library(error) => {
            (error.code(), error.to_string(), error.hint().map(|hint| hint.to_string()))
        }
        Failure::Usage { code, message, hint } | Failure::Refused { code, message, hint } => {
            (*code, message.clone(), hint.clone())
        }
        Failure::Write(error) => ("write", format!("cannot write the output: {error}"), None),
        Failure::ReaderGone => return status,
    };
    let body = ErrorBody { code, message: &message, hint: hint.as_deref() };
    // If standard output cannot be written, fall back to standard error.
    let can_print_json = as_json && !matches!(failure, Failure::Write(_));
    if !can_print_json || print_json(&ErrorDocument { error: body }).is_err() {
        print_message("error", &message, hint.as_deref());
    }
    status
}

/// Prints an error on standard error, in addition to the output of the command.
pub(crate) fn print_error(message: &str) {
    print_message("error", message, None);
}

/// Prints a message on standard error.
pub(crate) fn say(message: &str) {
    // A failure to write to standard error cannot be reported.
    let _ = writeln!(anstream::stderr().lock(), "homing: {message}");
}

/// Prints a note on standard error.
pub(crate) fn note(message: &str) {
    print_message("note", message, None);
}

/// Prints a note with a hint on standard error.
pub(crate) fn note_with_hint(message: &str, hint: &str) {
    print_message("note", message, Some(hint));
}

fn print_message(kind: &str, message: &str, hint: Option<&str>) {
    let style = if kind == "error" { ERROR } else { HINT };
    let mut stderr = anstream::stderr().lock();
    // Messages quote paths and arguments, which may contain control characters. A failure to write to standard error
    // cannot be reported.
    let _ = writeln!(stderr, "homing: {style}{kind}:{style:#} {}", indented(message));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{HINT}hint:{HINT:#} {}", indented(hint));
    }
}
