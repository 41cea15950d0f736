//! The routes of the API, with their handlers.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};

use super::app::App;
use super::problem::Problem;
use super::{agents, browser, events, follow_ups, info, jobs, output, sessions, wakes};

/// The routes that need a token, and the exchange of a code for one.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/server", get(info::server))
        .route("/api/v1/doctor", get(info::doctor))
        .route("/api/v1/config", get(info::config))
        .route("/api/v1/openapi.json", get(info::openapi))
        .route("/api/v1/browser/exchange", post(browser::exchange))
        .route("/api/v1/jobs", get(jobs::list).post(jobs::launch))
        .route("/api/v1/jobs/{id}", get(jobs::show))
        .route("/api/v1/jobs/{id}/output", get(output::read))
        .route("/api/v1/jobs/{id}/output/live", get(output::live))
        .route("/api/v1/jobs/{id}/result", get(output::result))
        .route("/api/v1/jobs/{id}/wait", get(jobs::wait))
        .route("/api/v1/jobs/{id}/usage", get(jobs::usage))
        .route("/api/v1/jobs/{id}/kill", post(jobs::kill))
        .route("/api/v1/jobs/{id}/rerun", post(jobs::rerun))
        .route("/api/v1/jobs/{id}/wakes", get(wakes::of_job))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/follow-ups", get(follow_ups::list))
        .route("/api/v1/follow-ups/acknowledge", post(follow_ups::acknowledge))
        .route("/api/v1/follow-ups/retry", post(follow_ups::retry))
        .route("/api/v1/follow-ups/drop", post(follow_ups::drop))
        .route("/api/v1/wakes", get(wakes::list))
        .route("/api/v1/wakes/claim", post(wakes::claim))
        .route("/api/v1/wakes/{id}/acknowledge", post(wakes::acknowledge))
        .route("/api/v1/wakes/{id}/busy", post(wakes::busy))
        .route("/api/v1/wakes/{id}/failed", post(wakes::failed))
        .route("/api/v1/events", get(events::stream))
        .route("/api/v1/events/poll", get(events::poll))
        .route("/api/v1/agents", get(agents::list))
        .route("/api/v1/agents/test-wake", post(agents::test_wake))
        .route("/healthz", get(info::healthz))
        .route("/readyz", get(info::readyz))
        .route("/metrics", get(info::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

async fn no_such_route(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("there is no route {}", uri.path()))
        .hint("GET /api/v1/openapi.json describes the routes")
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} cannot be used with {method}", uri.path()),
    )
}
