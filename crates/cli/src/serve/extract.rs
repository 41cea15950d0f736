//! Reads the parts of a request. Whatever is invalid is answered with a problem.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use super::app::Grant;
use super::problem::Problem;
use crate::server::read_body;

/// Longest body of a request to the API, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The query of a request.
pub(super) struct Params<T>(pub(super) T);

/// A body in JSON.
pub(super) struct JsonBody<T>(pub(super) T);

/// The one variable part of the path.
pub(super) struct Named(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Grant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Grant, Problem> {
        let grant = parts.extensions.get::<Grant>().cloned();
        grant
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "the request has no token"))
    }
}

impl<T: DeserializeOwned, S: Sync + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Params<T>, Problem> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match read {
            Ok(Query(value)) => Ok(Params(value)),
            Err(rejection) => Err(Problem::invalid(source_text(&rejection))),
        }
    }
}

impl<S: Sync + Send> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        let read: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        match read {
            Ok(Path(value)) => Ok(Named(value)),
            Err(rejection) => Err(Problem::invalid(source_text(&rejection))),
        }
    }
}

impl<T: DeserializeOwned, S: Sync + Send> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<JsonBody<T>, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body must be JSON, with the header Content-Type: application/json",
            )
            .closes());
        }
        let bytes = read_body(body, MAX_BODY_BYTES).await?;
        let deserializer = &mut serde_json::Deserializer::from_slice(&bytes);
        match serde_path_to_error::deserialize(deserializer) {
            Ok(value) => Ok(JsonBody(value)),
            Err(error) => {
                let path = error.path().to_string();
                let reason = error.into_inner();
                Err(Problem::invalid(match path.as_str() {
                    "." => format!("the body is invalid: {reason}"),
                    path => format!("{path} in the body is invalid: {reason}"),
                }))
            }
        }
    }
}

/// Whether the body is declared as JSON. A page of another origin cannot send such a request without the permission of
/// this server.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The message of the innermost error.
fn source_text(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
