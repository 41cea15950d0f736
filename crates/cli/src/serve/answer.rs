//! Answers in JSON and in plain text.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// The result of a handler.
pub(super) type Answered = Result<Response, super::problem::Problem>;

/// A document.
pub(super) fn json(document: &impl Serialize) -> Response {
    json_with(StatusCode::OK, document)
}

/// A document with a status.
pub(super) fn json_with(status: StatusCode, document: &impl Serialize) -> Response {
    let text = serde_json::to_vec(document).expect("a document has no part that JSON cannot hold");
    with_type(status, "application/json", text)
}

/// A text in UTF-8.
pub(super) fn text(text: impl Into<Body>) -> Response {
    with_type(StatusCode::OK, "text/plain; charset=utf-8", text)
}

/// An answer without content.
pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An answer of some type.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
