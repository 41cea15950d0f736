//! Routes about agent harnesses: which are installed and set up, and a test wake.

use std::sync::Arc;

use axum::extract::State;
use homing::core::Timestamp;
use homing::{Check, Origin, SessionId, Verdict, WakeId, WakeRecord};
use serde::{Deserialize, Serialize};

use super::answer::{Answered, json};
use super::app::{App, Grant};
use super::extract::JsonBody;
use super::problem::Problem;
use crate::setup::{ConfigPaths, Harness, HarnessStatus, Program, SetupState};

/// A test wake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct TestWakeRequest {
    /// The session that is woken.
    #[cfg_attr(test, schema(value_type = String))]
    session: SessionId,
    /// The harness of the session. Default: that of its newest job.
    harness: Option<String>,
}

#[derive(Serialize)]
struct AgentsDocument {
    agents: Vec<AgentDocument>,
}

#[derive(Serialize)]
struct AgentDocument {
    name: &'static str,
    title: &'static str,
    /// Whether its program or its configuration was found.
    found: bool,
    /// `complete`, `partial`, `none` or `not_supported`.
    setup: &'static str,
    /// What is missing.
    detail: String,
    /// The command that completes the setup; `None` if nothing is to be done.
    command: Option<String>,
    /// The newest wake that its preset has delivered or tried to deliver.
    last_wake: Option<LastWake>,
}

#[derive(Serialize)]
struct LastWake {
    wake: WakeId,
    session: SessionId,
    state: &'static str,
    /// When it was tried last.
    at: Timestamp,
    error: Option<String>,
}

#[derive(Serialize)]
struct ChecksDocument<'a> {
    checks: Vec<CheckDocument<'a>>,
}

#[derive(Serialize)]
struct CheckDocument<'a> {
    name: &'a str,
    /// `ok`, `warning` or `failed`.
    status: &'static str,
    detail: &'a str,
}

/// The agent harnesses that homing knows.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/agents",
    operation_id = "list_agents",
    tag = "agents",
    responses((status = 200, description = "The harnesses.", body = super::schema::AgentsDocument)),
))]
pub(super) async fn list(State(app): State<Arc<App>>) -> Answered {
    app.on_home(move |homing| {
        let paths = ConfigPaths::from_environment();
        let program = Program::this().map_err(|error| Problem::from(crate::exit::Failure::Write(error)))?;
        let agents = homing::harness::Profile::all().map(|profile| {
            let status = Harness::named(profile.name)
                .zip(paths.as_ref())
                .map(|(harness, paths)| HarnessStatus::of(harness, paths, &program));
            let (setup, detail) = match (&status, &profile.setup) {
                (Some(status), _) => described(status),
                (None, Err(reason)) => ("not_supported", (*reason).to_owned()),
                (None, Ok(_)) => ("none", "the home directory of the user is not known".to_owned()),
            };
            Ok(AgentDocument {
                name: profile.name,
                title: profile.title,
                found: status.as_ref().is_some_and(HarnessStatus::is_installed),
                setup,
                detail,
                command: status.as_ref().and_then(HarnessStatus::setup_command),
                last_wake: homing.last_wake_of(profile.name)?.map(LastWake::from),
            })
        });
        let agents = agents.collect::<homing::Result<Vec<AgentDocument>>>()?;
        Ok(json(&AgentsDocument { agents }))
    })
    .await
}

/// Sends a test wake to a session, and returns the result of every step. Changes nothing.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/agents/test-wake",
    operation_id = "test_wake",
    tag = "agents",
    request_body = TestWakeRequest,
    responses((status = 200, description = "The steps.", body = super::schema::ChecksDocument)),
))]
pub(super) async fn test_wake(
    State(app): State<Arc<App>>,
    grant: Grant,
    JsonBody(request): JsonBody<TestWakeRequest>,
) -> Answered {
    let place = app.test_wake()?;
    let origin = Origin { session: request.session, harness: request.harness };
    app.on_home(move |homing| {
        // The place is free again when the wake has been answered, also if the client is gone.
        let _place = place;
        let checks = homing.with_actor(grant.actor()).try_route(&origin)?;
        Ok(json(&ChecksDocument { checks: checks.iter().map(CheckDocument::from).collect() }))
    })
    .await
}

/// How far a harness is set up.
fn described(status: &HarnessStatus) -> (&'static str, String) {
    let user = &status.user;
    match user.state {
        SetupState::Yes if status.has_plugin => ("complete", "set up by the plugin of homing".to_owned()),
        SetupState::Yes => ("complete", String::new()),
        SetupState::Partly => ("partial", format!("missing: {}", user.missing.join(", "))),
        SetupState::Older => ("partial", format!("to update: {}", user.older.join(", "))),
        SetupState::No => ("none", String::new()),
        SetupState::Unknown => {
            ("partial", user.error.clone().unwrap_or_else(|| "a file cannot be read".to_owned()))
        }
    }
}

impl From<WakeRecord> for LastWake {
    fn from(wake: WakeRecord) -> LastWake {
        let tried = wake.attempts.last().map(|attempt| attempt.ended_at.unwrap_or(attempt.started_at));
        LastWake {
            wake: wake.id,
            session: wake.session,
            state: wake.state.as_str(),
            at: tried.unwrap_or(wake.created_at),
            error: wake.last_error,
        }
    }
}

impl<'a> From<&'a Check> for CheckDocument<'a> {
    fn from(check: &'a Check) -> CheckDocument<'a> {
        let status = match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "warning",
            Verdict::Problem => "failed",
        };
        CheckDocument { name: check.name, status, detail: &check.detail }
    }
}
