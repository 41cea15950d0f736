//! Routes about follow-ups: which results are not acknowledged yet, and acknowledge, retry and drop.

use std::sync::Arc;

use axum::extract::State;
use homing::{FollowUpOptions, FollowUpState, Homing, Job, JobId, SessionId};
use serde::{Deserialize, Serialize};

use super::answer::{Answered, json};
use super::app::{App, Grant};
use super::extract::{JsonBody, Params};
use super::jobs::{find, limit};
use super::problem::Problem;

/// Most jobs of one answer, and of one change.
const MAX_JOBS: u32 = 500;

/// Jobs of one answer, if the request does not say how many.
const DEFAULT_LIMIT: u32 = 50;

/// Which follow-ups to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct FollowUpParams {
    /// Only those of this session.
    #[cfg_attr(test, param(value_type = Option<String>))]
    session: Option<SessionId>,
    /// Only those in this state, open or not: `waiting`, `pending`, `handed_off`, `acknowledged`, `dead`, `suppressed`.
    /// Default: the open ones, `pending`, `handed_off` and `dead`.
    state: Option<String>,
    /// The maximum number of jobs, 1 to 500. Default: 50.
    #[cfg_attr(test, param(minimum = 1, maximum = 500))]
    limit: Option<u32>,
}

/// The jobs to change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct JobsRequest {
    /// Ids of jobs, 1 to 500.
    #[cfg_attr(test, schema(min_items = 1, max_items = 500))]
    jobs: Vec<String>,
}

#[derive(Serialize)]
struct FollowUpPage<'a> {
    jobs: &'a [Job],
    has_more: bool,
}

#[derive(Serialize)]
struct Changed<'a> {
    jobs: &'a [Job],
}

/// Jobs whose results are not acknowledged, newest first. `follow_up.last_error` says why.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/follow-ups",
    operation_id = "list_follow_ups",
    tag = "follow-ups",
    params(FollowUpParams),
    responses((status = 200, description = "The jobs.", body = super::schema::FollowUpPage)),
))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    grant: Grant,
    Params(params): Params<FollowUpParams>,
) -> Answered {
    let state = |name: String| {
        let state = FollowUpState::from_name(&name);
        state.ok_or_else(|| Problem::invalid("state is not that of a follow-up"))
    };
    let options = FollowUpOptions {
        session: grant.narrowed(params.session)?,
        state: params.state.map(state).transpose()?,
        limit: Some(limit(params.limit, DEFAULT_LIMIT, MAX_JOBS)?),
        ..FollowUpOptions::default()
    };
    app.on_home(move |homing| {
        let listing = homing.follow_up_listing(&options)?;
        Ok(json(&FollowUpPage { jobs: &listing.jobs, has_more: listing.has_more }))
    })
    .await
}

/// Acknowledges results: they are not delivered again.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/follow-ups/acknowledge",
    operation_id = "acknowledge_results",
    tag = "follow-ups",
    request_body = JobsRequest,
    responses(
        (status = 200, description = "The jobs. If one of them cannot be changed, none is.", body = super::schema::JobsDocument),
        (status = 409, description = "A job has not finished, or a beginning of an id matches several jobs.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    grant: Grant,
    JsonBody(request): JsonBody<JobsRequest>,
) -> Answered {
    change(&app, grant, request, Homing::acknowledge).await
}

/// Delivers results again, also dead and acknowledged ones.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/follow-ups/retry",
    operation_id = "retry_results",
    tag = "follow-ups",
    request_body = JobsRequest,
    responses(
        (status = 200, description = "The jobs. If one of them cannot be changed, none is.", body = super::schema::JobsDocument),
        (status = 409, description = "A job has not finished, or a beginning of an id matches several jobs.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    grant: Grant,
    JsonBody(request): JsonBody<JobsRequest>,
) -> Answered {
    change(&app, grant, request, Homing::retry).await
}

/// Stops the delivery of results. A job that still runs keeps running.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/follow-ups/drop",
    operation_id = "drop_results",
    tag = "follow-ups",
    request_body = JobsRequest,
    responses(
        (status = 200, description = "The jobs. If one of them cannot be changed, none is.", body = super::schema::JobsDocument),
        (status = 409, description = "A beginning of an id matches several jobs.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn drop(
    State(app): State<Arc<App>>,
    grant: Grant,
    JsonBody(request): JsonBody<JobsRequest>,
) -> Answered {
    change(&app, grant, request, Homing::drop_follow_ups).await
}

async fn change(
    app: &Arc<App>,
    grant: Grant,
    request: JobsRequest,
    apply: impl FnOnce(&Homing, &[JobId]) -> homing::Result<Vec<Job>> + Send + 'static,
) -> Answered {
    let most = usize::try_from(MAX_JOBS).unwrap_or(usize::MAX);
    if !(1..=most).contains(&request.jobs.len()) {
        return Err(Problem::invalid(format!("jobs names {}; give 1 to {most}", request.jobs.len())));
    }
    app.on_home(move |homing| {
        let mut ids: Vec<JobId> = Vec::with_capacity(request.jobs.len());
        for named in &request.jobs {
            let id = find(&homing, &grant, named)?.id;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let jobs = apply(&homing.with_actor(grant.actor()), &ids)?;
        Ok(json(&Changed { jobs: &jobs }))
    })
    .await
}
