//! The link for a browser: a code that is valid once, for 60 seconds, and is exchanged for a token.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use homing::core::Timestamp;
use serde::{Deserialize, Serialize};

use super::answer::{Answered, json};
use super::app::App;
use super::extract::JsonBody;
use super::problem::Problem;
use crate::server::blocking;

/// The code of a link.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct ExchangeRequest {
    /// The code, from the fragment of the link.
    code: String,
}

/// A token for a browser.
#[derive(Serialize)]
struct ExchangeDocument<'a> {
    token: &'a str,
    expires_at: Option<Timestamp>,
}

/// Exchanges the code of a browser link for a token.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/browser/exchange",
    operation_id = "exchange_code",
    tag = "server",
    security(()),
    request_body = ExchangeRequest,
    responses((status = 200, description = "The token.", body = super::schema::ExchangeDocument)),
))]
pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    JsonBody(request): JsonBody<ExchangeRequest>,
) -> Answered {
    let exchanged = blocking(move || app.access.tokens.file().exchange(&request.code)).await?;
    match exchanged {
        Some(token) => {
            Ok(json(&ExchangeDocument { token: &token.text, expires_at: token.record.expires_at }))
        }
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_code",
            "the code is unknown, was used already, or is older than 60 seconds",
        )
        .hint("run homing serve --open for a new link")),
    }
}
