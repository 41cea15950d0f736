//! Routes about the server, the installation and the configuration.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use homing::core::{Timestamp, as_millis};
use homing::{EventCursor, SessionId};
use serde::Serialize;

use super::answer::{Answered, json, text, with_type};
use super::app::{App, Grant};
use super::hub::poll;
use super::scope::Scope;

/// The description of the API. `openapi` generates it; its test compares.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

#[derive(Serialize)]
struct ServerDocument<'a> {
    schema: &'static str,
    version: &'static str,
    home: &'a Path,
    scope: &'a Scope,
    /// The session of the token, if it is for one.
    session: Option<&'a SessionId>,
    /// The name of the token.
    token: &'a str,
    started_at: Timestamp,
    /// The newest place in the log of events.
    cursor: EventCursor,
    monitor: MonitorDocument,
    sinks: Vec<&'a str>,
    default_timeout_ms: Option<u64>,
    max_timeout_ms: Option<u64>,
}

#[derive(Serialize)]
struct MonitorDocument {
    active: bool,
    pid: Option<u32>,
}

/// The server, and what the token may do.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/server",
    operation_id = "get_server",
    tag = "server",
    responses((status = 200, description = "The server.", body = super::schema::ServerDocument)),
))]
pub(super) async fn server(State(app): State<Arc<App>>, grant: Grant) -> Answered {
    let started_at = app.started_at;
    app.on_home(move |homing| {
        let cursor = poll(&homing, None, None, 1)?.next;
        let monitor = homing.active_monitor()?;
        let config = homing.config();
        Ok(json(&ServerDocument {
            schema: "homing.server/1",
            version: env!("CARGO_PKG_VERSION"),
            home: homing.home_path(),
            scope: &grant.scope,
            session: grant.session(),
            token: &grant.token,
            started_at,
            cursor,
            monitor: MonitorDocument { active: monitor.is_some(), pid: monitor.filter(|pid| *pid > 0) },
            sinks: config.sink_names(),
            default_timeout_ms: config.defaults.timeout.map(as_millis),
            max_timeout_ms: config.limits.max_timeout.map(as_millis),
        }))
    })
    .await
}

/// The checks of `homing doctor`.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/doctor",
    operation_id = "run_doctor",
    tag = "server",
    responses((status = 200, description = "The checks.", body = Vec<super::schema::CheckDocument>)),
))]
pub(super) async fn doctor(State(app): State<Arc<App>>) -> Answered {
    app.on_home(move |homing| Ok(json(&homing.doctor()?))).await
}

/// The configuration in use. Secrets, queries of URLs and arguments of commands are left out.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/config",
    operation_id = "get_config",
    tag = "server",
    responses((status = 200, description = "The configuration, with the keys of the configuration file.", body = Object)),
))]
pub(super) async fn config(State(app): State<Arc<App>>) -> Answered {
    app.on_home(move |homing| Ok(json(&homing.config().redacted()))).await
}

/// This document.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "get_openapi",
    tag = "server",
    responses((status = 200, description = "The description of the API.", body = Object)),
))]
pub(super) async fn openapi() -> Answered {
    Ok(with_type(axum::http::StatusCode::OK, "application/json", OPENAPI))
}

/// Numbers for monitoring systems. No commands, names or sessions.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "server",
    responses((status = 200, description = "The numbers, in the text format of OpenMetrics.", body = String, content_type = "application/openmetrics-text")),
))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Answered {
    let read = Arc::clone(&app);
    app.on_home(move |homing| {
        let sessions = homing.sessions()?;
        let has_monitor = homing.active_monitor()?.is_some();
        let text = read.metrics.text(&sessions, has_monitor, read.open_streams());
        Ok(with_type(
            axum::http::StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text,
        ))
    })
    .await
}

/// Whether the server answers.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/healthz",
    operation_id = "get_health",
    tag = "server",
    security(()),
    responses((status = 200, description = "ok", body = String, content_type = "text/plain")),
))]
pub(super) async fn healthz() -> Answered {
    Ok(text("ok\n"))
}

/// Whether the server can use its home.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readiness",
    tag = "server",
    security(()),
    responses((status = 200, description = "ok", body = String, content_type = "text/plain")),
))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Answered {
    app.homing().await?;
    Ok(text("ok\n"))
}
