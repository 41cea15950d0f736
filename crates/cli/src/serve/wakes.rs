//! Routes about wakes: which are open, and claims by hosts that deliver wakes themselves.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use homing::{
    Delivery, Homing, LeaseId, LeaseOptions, LeasedWake, SessionId, WakeId, WakeOptions, WakeRecord,
};
use serde::{Deserialize, Serialize, Serializer, ser};

use super::answer::{Answered, json, no_content};
use super::app::{App, Grant};
use super::extract::{JsonBody, Named, Params};
use super::jobs::{duration, find, limit, since};
use super::problem::Problem;
use crate::server::Socket;

/// Most wakes of one answer.
const MAX_LIMIT: u32 = 500;

/// Wakes of one answer, if the request does not say how many.
const DEFAULT_LIMIT: u32 = 100;

/// Longest time that a claim may wait, in milliseconds.
const MAX_WAIT_MS: u64 = 300_000;

/// How long a host may take to deliver a wake, if it does not say so, in milliseconds.
const DEFAULT_LEASE_MS: u64 = 60_000;

/// Shortest and longest lease, in milliseconds.
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=3_600_000;

/// Longest time until a busy session is tried again: one day, in milliseconds.
const MAX_RETRY_MS: u64 = 86_400_000;

/// Longest reason that a host gives, in characters.
const MAX_REASON_CHARS: usize = 1_000;

/// Which wakes to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct WakeParams {
    /// Only those of this session.
    #[cfg_attr(test, param(value_type = Option<String>))]
    session: Option<SessionId>,
    /// Also wakes that are closed and were created since then: an age such as `2h`, or a time such as `2026-11-29T14:30Z`.
    since: Option<String>,
    /// Whether each wake has its text. Default: true.
    text: Option<bool>,
    /// The maximum number of wakes, 1 to 500. Default: 100.
    #[cfg_attr(test, param(minimum = 1, maximum = 500))]
    limit: Option<u32>,
}

/// A claim of the next wake of a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct ClaimRequest {
    /// The session. Default: that of the token.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    session: Option<SessionId>,
    /// How long to wait for a wake, in milliseconds, up to 300,000. Default: 0.
    #[serde(default)]
    #[cfg_attr(test, schema(maximum = 300_000, value_type = Option<u64>))]
    wait_ms: u64,
    /// How long the wake is held for this host, in milliseconds, 1,000 to 3,600,000. Default: 60,000.
    #[cfg_attr(test, schema(minimum = 1_000, maximum = 3_600_000))]
    lease_ms: Option<u64>,
    /// Who delivers the wake, 1 to 64 characters. Default: the name of the token.
    holder: Option<String>,
}

/// The agent has the wake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct AcknowledgeRequest {
    /// The id of the lease, from the claim.
    #[cfg_attr(test, schema(value_type = String))]
    lease: LeaseId,
}

/// The session cannot take the wake now. This does not use up an attempt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct BusyRequest {
    /// The id of the lease, from the claim.
    #[cfg_attr(test, schema(value_type = String))]
    lease: LeaseId,
    /// When to try again, in milliseconds from now, up to one day. Default: as the configuration says.
    #[cfg_attr(test, schema(maximum = 86_400_000))]
    retry_after_ms: Option<u64>,
    /// Why, for people. The first 1,000 characters are kept.
    reason: Option<String>,
}

/// The attempt failed. It is repeated later.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct FailedRequest {
    /// The id of the lease, from the claim.
    #[cfg_attr(test, schema(value_type = String))]
    lease: LeaseId,
    /// Why, for people. The first 1,000 characters are kept.
    error: String,
}

#[derive(Serialize)]
struct WakePage<'a> {
    wakes: Vec<WakeDocument<'a>>,
    has_more: bool,
}

/// A wake, perhaps without its text.
struct WakeDocument<'a> {
    wake: &'a WakeRecord,
    has_text: bool,
}

impl Serialize for WakeDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.has_text {
            return self.wake.serialize(serializer);
        }
        let mut document = serde_json::to_value(self.wake).map_err(ser::Error::custom)?;
        if let Some(fields) = document.as_object_mut() {
            fields.remove("text");
        }
        document.serialize(serializer)
    }
}

#[derive(Serialize)]
struct WakesOfJob<'a> {
    wakes: &'a [WakeRecord],
}

/// The wakes that are not delivered yet and those that are dead, newest first. With `since`, also others.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/wakes",
    operation_id = "list_wakes",
    tag = "wakes",
    params(WakeParams),
    responses((status = 200, description = "The wakes.", body = super::schema::WakePage)),
))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    grant: Grant,
    Params(params): Params<WakeParams>,
) -> Answered {
    let session = grant.narrowed(params.session)?;
    let limit = limit(params.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let has_text = params.text.unwrap_or(true);
    let since = params.since.as_deref().map(since).transpose()?;
    app.on_home(move |homing| {
        let listing = homing.open_wakes(&WakeOptions { session, since, limit: Some(limit) })?;
        let wakes = listing.wakes.iter().map(|wake| WakeDocument { wake, has_text }).collect();
        Ok(json(&WakePage { wakes, has_more: listing.has_more }))
    })
    .await
}

/// All wakes that contain a job, with every attempt, newest first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/wakes",
    operation_id = "list_wakes_of_job",
    tag = "wakes",
    params(("id" = String, Path, description = "The id of a job.")),
    responses((status = 200, description = "The wakes.", body = super::schema::WakesDocument)),
))]
pub(super) async fn of_job(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    app.on_home(move |homing| {
        let job = find(&homing, &grant, &id)?;
        Ok(json(&WakesOfJob { wakes: &homing.wakes_of(job.id)? }))
    })
    .await
}

/// Claims the next wake of a session, for a host that delivers it itself. No sink, hook or other host gets it while the lease
/// lasts. A lease that ends without an answer is a failed attempt.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/wakes/claim",
    operation_id = "claim_wake",
    tag = "wakes",
    request_body = ClaimRequest,
    responses(
        (status = 200, description = "The wake, and its lease.", body = super::schema::LeasedWake),
        (status = 204, description = "No wake was due in that time."),
    ),
))]
pub(super) async fn claim(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Socket>,
    grant: Grant,
    JsonBody(request): JsonBody<ClaimRequest>,
) -> Answered {
    let session = grant.narrowed(request.session)?;
    let session = session.ok_or_else(|| Problem::invalid("session is missing"))?;
    let lease = request.lease_ms.unwrap_or(DEFAULT_LEASE_MS);
    if !LEASE_MS.contains(&lease) {
        let (least, most) = (LEASE_MS.start(), LEASE_MS.end());
        return Err(Problem::invalid(format!("lease_ms is {lease}; give {least} to {most}")));
    }
    let mut options = LeaseOptions::new(request.holder.unwrap_or_else(|| grant.token.clone()));
    options.wait = duration("wait_ms", request.wait_ms, MAX_WAIT_MS)?;
    options.lease = Duration::from_millis(lease);
    let homing = app.homing().await?.with_actor(grant.actor());
    let _place = app.stream()?;
    // If the client disconnects meanwhile, this future is dropped, and what it claims is given back.
    let claimed = tokio::select! {
        claimed = homing.lease_wake_async(&session, &options) => claimed?,
        () = app.closing.begun() => None,
    };
    let Some(leased) = claimed else { return Ok(no_content()) };
    if client.client_has_left() {
        give_back(&app, homing, &leased).await?;
        return Ok(no_content());
    }
    Ok(json(&leased))
}

/// Gives back a wake whose host will not read the answer. It is due at once.
async fn give_back(app: &Arc<App>, homing: Homing, leased: &LeasedWake) -> Result<(), Problem> {
    let (wake, lease) = (leased.wake.id, leased.lease.id);
    let reason = "the host has disconnected".to_owned();
    let delivery = Delivery::Busy { reason, retry_after: Some(Duration::ZERO) };
    app.on_home(move |_| Ok(homing.answer_lease(wake, lease, delivery)?)).await
}

/// The agent has a claimed wake: its results are acknowledged.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/wakes/{id}/acknowledge",
    operation_id = "acknowledge_wake",
    tag = "wakes",
    params(("id" = String, Path, description = "The id of a wake.")),
    request_body = AcknowledgeRequest,
    responses(
        (status = 204, description = "Done. To repeat this is no error."),
        (status = 409, description = "The lease has ended, and another attempt delivers the wake.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    JsonBody(request): JsonBody<AcknowledgeRequest>,
) -> Answered {
    answer(&app, grant, &id, request.lease, Delivery::Delivered).await
}

/// The session cannot take a claimed wake now.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/wakes/{id}/busy",
    operation_id = "put_off_wake",
    tag = "wakes",
    params(("id" = String, Path, description = "The id of a wake.")),
    request_body = BusyRequest,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease has ended, and another attempt delivers the wake.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn busy(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    JsonBody(request): JsonBody<BusyRequest>,
) -> Answered {
    let retry_after = request.retry_after_ms.map(|millis| duration("retry_after_ms", millis, MAX_RETRY_MS));
    let delivery = Delivery::Busy {
        reason: shortened(
            &request.reason.unwrap_or_else(|| "the host says that the session is busy".to_owned()),
        ),
        retry_after: retry_after.transpose()?,
    };
    answer(&app, grant, &id, request.lease, delivery).await
}

/// The attempt to deliver a claimed wake failed.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/wakes/{id}/failed",
    operation_id = "fail_wake",
    tag = "wakes",
    params(("id" = String, Path, description = "The id of a wake.")),
    request_body = FailedRequest,
    responses(
        (status = 204, description = "Done."),
        (status = 409, description = "The lease has ended, and another attempt delivers the wake.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn failed(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    JsonBody(request): JsonBody<FailedRequest>,
) -> Answered {
    let delivery = Delivery::Failed { error: shortened(&request.error) };
    answer(&app, grant, &id, request.lease, delivery).await
}

async fn answer(app: &Arc<App>, grant: Grant, id: &str, lease: LeaseId, delivery: Delivery) -> Answered {
    let id: WakeId = id.parse().map_err(homing::Error::from)?;
    app.on_home(move |homing| {
        if let Some(session) = grant.session()
            && homing.wake(id)?.session != *session
        {
            return Err(Problem::from(homing::Error::NoSuchWake(id)));
        }
        homing.with_actor(grant.actor()).answer_lease(id, lease, delivery)?;
        Ok(no_content())
    })
    .await
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_REASON_CHARS).collect()
}
