//! What a command ends with: its exit status, and how an error is told. Decides nothing about jobs.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::Error;
use serde::Serialize;

use crate::render::style::{ERROR, HINT};
use crate::render::{indented, print_json};

/// The operation failed.
pub(crate) const FAILED: u8 = 1;
/// What was asked makes no sense.
const USAGE: u8 = 2;
/// There is no such job.
const NO_SUCH_JOB: u8 = 3;
/// Several jobs could be meant.
const AMBIGUOUS_JOB: u8 = 4;
/// The job is not over yet: "try again later" (EX_TEMPFAIL of sysexits.h).
pub(crate) const NOT_FINISHED: u8 = 75;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says so.
    Library(Box<Error>),
    /// The arguments make no sense.
    Usage {
        /// A name for programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What the user can do.
        hint: Option<String>,
    },
    /// It was not done, for a reason that is no error of the library.
    Refused {
        /// A name for programs.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What the user can do.
        hint: Option<String>,
    },
    /// What was to be written could not be.
    Write(io::Error),
    /// Whoever read standard output has had enough, as in `homing list | head -1`.
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

/// A failure for programs.
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

/// Tells of a failure, and returns the status to exit with.
pub(crate) fn report(failure: &Failure, as_json: bool) -> ExitCode {
    let status = ExitCode::from(failure.status());
    let (code, message, hint) = match failure {
        Failure::Library(error) => (error.code(), error.to_string(), error.hint()),
        Failure::Usage { code, message, hint } | Failure::Refused { code, message, hint } => {
            (*code, message.clone(), hint.clone())
        }
        Failure::Write(error) => ("write", format!("cannot write the answer: {error}"), None),
        Failure::ReaderGone => return status,
    };
    let body = ErrorBody { code, message: &message, hint: hint.as_deref() };
    // Where standard output takes no document, standard error is what is left.
    let takes_documents = as_json && !matches!(failure, Failure::Write(_));
    if !takes_documents || print_json(&ErrorDocument { error: body }).is_err() {
        print_message("error", &message, hint.as_deref());
    }
    status
}

/// Says on standard error what went wrong, where standard output has its answer already.
pub(crate) fn complain(message: &str) {
    print_message("error", message, None);
}

/// Says on standard error what happens.
pub(crate) fn say(message: &str) {
    // Nobody is left to hear of a failure here.
    let _ = writeln!(anstream::stderr().lock(), "homing: {message}");
}

/// Says something worth knowing on standard error.
pub(crate) fn note(message: &str) {
    print_message("note", message, None);
}

/// The same, and what can be done about it.
pub(crate) fn note_with_hint(message: &str, hint: &str) {
    print_message("note", message, Some(hint));
}

fn print_message(kind: &str, message: &str, hint: Option<&str>) {
    let style = if kind == "error" { ERROR } else { HINT };
    let mut stderr = anstream::stderr().lock();
    // Messages quote paths and arguments, which may hold anything. Nobody is left to hear of a failure here.
    let _ = writeln!(stderr, "homing: {style}{kind}:{style:#} {}", indented(message));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{HINT}hint:{HINT:#} {}", indented(hint));
    }
}
