//! Errors as `application/problem+json` (RFC 9457), with the codes of the command line.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use homing::{DiskError, Error};
use serde::Serialize;

use crate::exit::Failure;
use crate::server::BodyError;

/// Where the codes are documented.
const DOCUMENTATION: &str = "https://github.com/homing-jobs/homing/blob/main/docs/http.md";

/// Why a request was refused or failed.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    hint: Option<String>,
    /// Whether the connection must be closed, because the request was not read to its end.
    closes: bool,
}

/// The JSON form of a [`Problem`].
#[derive(Serialize)]
pub(super) struct ProblemDocument<'a> {
    /// The URL of the documentation of this code.
    #[serde(rename = "type")]
    kind: String,
    /// The meaning of the status.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// A name for programs, stable across versions: the same as on the command line.
    code: &'a str,
    /// What is wrong, for people.
    detail: &'a str,
    /// What the caller can do.
    hint: Option<&'a str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), hint: None, closes: false }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }

    /// The connection is closed after the answer.
    pub(super) fn closes(self) -> Problem {
        Problem { closes: true, ..self }
    }

    /// A parameter, a header or a part of the body is invalid.
    pub(super) fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// A limit of the server is reached. The client may try again.
    pub(super) fn busy(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .hint("close connections that are not needed, or try again later")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let hint = error.hint().map(|hint| hint.to_string());
        Problem {
            status: status_of(&error),
            code: error.code(),
            detail: error.to_string(),
            hint,
            closes: false,
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Library(error) => Problem::from(*error),
            Failure::Usage { code, message, hint } => {
                Problem { hint, ..Problem::new(StatusCode::BAD_REQUEST, code, message) }
            }
            Failure::Refused { code, message, hint } => {
                Problem { hint, ..Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, message) }
            }
            Failure::Write(error) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "write", error.to_string())
            }
            Failure::ReaderGone => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "write", "the reader is gone")
            }
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        let code = match &error {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::TimedOut => "body_timeout",
            BodyError::Broken(_) => "invalid_request",
        };
        Problem::new(error.status(), code, error.message()).closes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("{DOCUMENTATION}#{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            hint: self.hint.as_deref(),
        };
        let text = serde_json::to_string(&document).expect("a problem has no part that JSON cannot hold");
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"homing\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.closes {
            headers.insert(axum::http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The status for an error of the library.
fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::NoSuchJob(_) | Error::NoSuchJobInSession { .. } | Error::NoSuchWake(_) => {
            StatusCode::NOT_FOUND
        }
        Error::AmbiguousJob { .. }
        | Error::FollowUpConflict { .. }
        | Error::LeaseLost { .. }
        | Error::NotRemovable { .. } => StatusCode::CONFLICT,
        Error::KeyTaken { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::InvalidId(_)
        | Error::InvalidCommand(_)
        | Error::InvalidDirectory { .. }
        | Error::NoSuchSink { .. }
        | Error::NoSuchExecutor { .. }
        | Error::MissingVariables { .. }
        | Error::InvalidRequest(_) => StatusCode::BAD_REQUEST,
        Error::ExecutorUnreachable { .. } | Error::ExecutorRefused { .. } => StatusCode::BAD_GATEWAY,
        Error::Disk(error) if is_full(error) => StatusCode::INSUFFICIENT_STORAGE,
        Error::LedgerBusy { .. }
        | Error::HomeRefused { .. }
        | Error::HomeReplaced { .. }
        | Error::NoHome
        | Error::InvalidConfig { .. }
        | Error::ConfigRefused(_)
        | Error::SecretRefused { .. }
        | Error::NotFinishedInTime { .. } => StatusCode::SERVICE_UNAVAILABLE,
        // The rest is a fault of this machine.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn is_full(error: &DiskError) -> bool {
    error.source.kind() == std::io::ErrorKind::StorageFull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_library_keeps_its_code_and_hint() {
        let problem = Problem::from(Error::NoSuchJob("3f9c".to_owned()));
        assert_eq!((problem.status, problem.code), (StatusCode::NOT_FOUND, "no_such_job"));
        assert!(problem.hint.is_some_and(|hint| !hint.is_empty()));
        let response = Problem::invalid("no").into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
}
