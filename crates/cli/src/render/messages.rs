//! Prints errors and notes on standard error; errors as JSON on standard output.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use super::format::indented;
use super::json::print_json;
use super::style::{ERROR, HINT};
use crate::exit::Failure;

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
    let _ = writeln!(anstream::stderr().lock(), "homing: {}", indented(message));
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
