//! Routes about jobs: launch, list, show, wait, kill, launch again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use homing::core::{Shell, StateName, Timestamp};
use homing::{
    DeliveryArrangement, FollowUpPolicy, Homing, Job, JobCommand, JobId, JobIdPrefix, JobKey, JobSpec,
    KilledBy, ListCursor, ListOptions, ResultReader, SessionId, Timeout, UnsupportedJob, WaitFor,
};
use serde::{Deserialize, Serialize};

use super::answer::{Answered, json, json_with, no_content};
use super::app::{App, Grant};
use super::extract::{JsonBody, Named, Params};
use super::problem::Problem;
use crate::local_time::parse_since;
use crate::render::note;

/// Most jobs of one page.
const MAX_LIMIT: u32 = 500;

/// Jobs of one page, if the request does not say how many.
const DEFAULT_LIMIT: u32 = 50;

/// Most ids in one request for jobs.
const MAX_IDS: usize = 100;

/// Longest time that a request may wait for a job, in milliseconds.
const MAX_WAIT_MS: u64 = 300_000;

/// How long a request waits for a job, if it does not say so, in milliseconds.
const DEFAULT_WAIT_MS: u64 = 30_000;

/// Longest time limit of a job: 30 days, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 30 * 86_400_000;

/// The header with the idempotency key of a launch.
const KEY_HEADER: &str = "idempotency-key";

/// A job to launch: a `command` for a shell, or a program with its exact arguments in `argv`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct LaunchRequest {
    /// A script for the shell. Either this or `argv`.
    #[cfg_attr(test, schema(example = "make test"))]
    command: Option<String>,
    /// A program and its exact arguments; no shell is involved.
    argv: Option<Vec<String>>,
    /// The session that is notified of the result: 1 to 256 bytes without control characters. Default: that of the token,
    /// else `default`.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    session: Option<SessionId>,
    /// A name, or a description.
    name: Option<String>,
    /// The executor of the configuration that runs it, on another machine. Default: this machine.
    on: Option<String>,
    /// The working directory, an absolute path. Default: that of the server. On an executor, a path there, which may begin with
    /// `~/`; default: the home directory there.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    cwd: Option<PathBuf>,
    /// Environment variables in addition to those of the server. Their values are never stored.
    #[serde(default)]
    #[cfg_attr(test, schema(value_type = Option<std::collections::BTreeMap<String, String>>))]
    env: BTreeMap<String, String>,
    /// The time limit in milliseconds, 0 for none, at most 30 days. Default: that of the configuration.
    #[cfg_attr(test, schema(maximum = 2_592_000_000_i64))]
    timeout_ms: Option<u64>,
    /// Milliseconds between SIGTERM and SIGKILL, at most 30 days. Default: that of the configuration.
    #[cfg_attr(test, schema(maximum = 2_592_000_000_i64))]
    grace_ms: Option<u64>,
    /// The shell that runs `command`: `bash`, `cmd` or `powershell`.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    shell: Option<Shell>,
    /// When the session is notified: always, only if the job did not succeed, or never.
    #[cfg_attr(test, schema(inline))]
    follow_up: Option<FollowUpChoice>,
    /// The sink that delivers the result. Default: the routes decide.
    sink: Option<String>,
    /// As the header `Idempotency-Key`.
    #[cfg_attr(test, schema(value_type = Option<String>))]
    key: Option<JobKey>,
}

/// When the session is notified of the result of a job.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) enum FollowUpChoice {
    Always,
    #[serde(alias = "failure")]
    OnFailure,
    Never,
}

/// Which jobs to list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct ListParams {
    /// Only those of this session.
    #[cfg_attr(test, param(value_type = Option<String>))]
    session: Option<SessionId>,
    /// Only those in this state: `starting`, `running` or `finished`.
    state: Option<String>,
    /// Only those that have finished and did not succeed.
    failed: Option<bool>,
    /// Only those launched since then: an age such as `2h`, or a time such as `2026-11-29T14:30Z`.
    since: Option<String>,
    /// Only those with exactly this name.
    name: Option<String>,
    /// The maximum number of jobs, 1 to 500. Default: 50.
    #[cfg_attr(test, param(minimum = 1, maximum = 500))]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only these jobs: at most 100 complete ids, separated by commas.
    ids: Option<String>,
}

/// How long to wait.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct WaitParams {
    /// How long to wait at most, in milliseconds, up to 300,000. Default: 30,000.
    #[cfg_attr(test, param(maximum = 300_000))]
    timeout_ms: Option<u64>,
}

/// A page of jobs.
#[derive(Serialize)]
struct JobPage<'a> {
    jobs: &'a [Job],
    next_cursor: Option<String>,
    unsupported: Vec<UnsupportedDocument<'a>>,
}

/// A job that a newer program wrote.
#[derive(Serialize)]
struct UnsupportedDocument<'a> {
    id: JobId,
    reason: &'a str,
}

/// Launches a job.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/jobs",
    operation_id = "launch_job",
    tag = "jobs",
    params(("Idempotency-Key" = Option<String>, Header, description = "Launches at most one job of the session with this key: 1 to 256 bytes without control characters.")),
    request_body = LaunchRequest,
    responses(
        (status = 201, description = "The job was launched.", body = super::schema::JobDocument),
        (status = 200, description = "A job with this key was launched before.", body = super::schema::JobDocument),
        (status = 422, description = "The key belongs to a job that was launched with a different request.", body = super::schema::Problem, content_type = "application/problem+json"),
    ),
))]
pub(super) async fn launch(
    State(app): State<Arc<App>>,
    grant: Grant,
    headers: HeaderMap,
    JsonBody(request): JsonBody<LaunchRequest>,
) -> Answered {
    let key = idempotency_key(&headers)?;
    let spec = request.into_spec(key, &grant)?;
    app.on_home(move |homing| launched(&homing.with_actor(grant.actor()), spec)).await
}

/// Jobs, newest first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(ListParams),
    responses((status = 200, description = "A page of jobs.", body = super::schema::JobPage)),
))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    grant: Grant,
    Params(params): Params<ListParams>,
) -> Answered {
    let options = params.options(&grant)?;
    app.on_home(move |homing| {
        let listing = homing.listing(&options)?;
        let unsupported = listing.unsupported.iter().map(UnsupportedDocument::from).collect();
        let next_cursor = listing.next.map(|cursor| cursor.to_string());
        Ok(json(&JobPage { jobs: &listing.jobs, next_cursor, unsupported }))
    })
    .await
}

/// One job.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}",
    operation_id = "get_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of a job, or a unique beginning of it with at least 4 characters.")),
    responses((status = 200, description = "The job.", body = super::schema::JobDocument)),
))]
pub(super) async fn show(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    app.on_home(move |homing| Ok(json(&find(&homing, &grant, &id)?))).await
}

/// What the processes of a running job use now.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/usage",
    operation_id = "get_usage",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of a job.")),
    responses(
        (status = 200, description = "The sum of its processes. Ask at most every second.", body = super::schema::UsageDocument),
        (status = 204, description = "The job does not run, or not where the server can see its processes."),
    ),
))]
pub(super) async fn usage(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    app.on_home(move |homing| {
        let used = homing.usage(find(&homing, &grant, &id)?.id)?;
        Ok(used.map_or_else(no_content, |used| json(&used)))
    })
    .await
}

/// Waits until a job has finished, for a limited time.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/jobs/{id}/wait",
    operation_id = "wait_for_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of a job."), WaitParams),
    responses((status = 200, description = "The job, finished or not.", body = super::schema::JobDocument)),
))]
pub(super) async fn wait(
    State(app): State<Arc<App>>,
    grant: Grant,
    Named(id): Named,
    Params(params): Params<WaitParams>,
) -> Answered {
    let at_most = duration("timeout_ms", params.timeout_ms.unwrap_or(DEFAULT_WAIT_MS), MAX_WAIT_MS)?;
    let (homing, job) =
        app.on_home(move |homing| find(&homing, &grant, &id).map(|job| (homing, job))).await?;
    if job.outcome().is_some() {
        return Ok(json(&job));
    }
    let (_place, ids) = (app.stream()?, [job.id]);
    let waited = tokio::select! {
        waited = tokio::time::timeout(at_most, homing.wait_async(&ids, WaitFor::All)) => waited.ok(),
        () = app.closing.begun() => None,
    };
    match waited {
        Some(jobs) => Ok(json(&jobs?.remove(0))),
        None => app.on_home(move |homing| Ok(json(&homing.get(job.id)?))).await,
    }
}

/// Kills a job and all processes that it started. Answers when none of them is left.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/kill",
    operation_id = "kill_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of a job.")),
    responses((status = 200, description = "The finished job.", body = super::schema::JobDocument)),
))]
pub(super) async fn kill(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    let (homing, id, by) = app
        .on_home(move |homing| {
            let job = find(&homing, &grant, &id)?;
            // A session that kills its own job knows the result.
            let by = grant.session().map_or(KilledBy::Operator, |session| job.killer(session));
            Ok((homing.with_actor(grant.actor()), job.id, by))
        })
        .await?;
    let killing = async move { homing.kill_async(&[(id, by)]).await };
    // In a task of its own: it goes on if the client disconnects.
    match tokio::spawn(killing).await {
        Ok(killed) => Ok(json(&killed?.remove(0))),
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Launches the command of a job again, in the session of the token, else in that of the job.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/api/v1/jobs/{id}/rerun",
    operation_id = "rerun_job",
    tag = "jobs",
    params(("id" = String, Path, description = "The id of a job.")),
    responses((status = 201, description = "The new job.", body = super::schema::JobDocument)),
))]
pub(super) async fn rerun(State(app): State<Arc<App>>, grant: Grant, Named(id): Named) -> Answered {
    app.on_home(move |homing| {
        let spec = JobSpec::again(&find(&homing, &grant, &id)?);
        launched(&homing.with_actor(grant.actor()), spec)
    })
    .await
}

/// Finds a job that the client may see, by its id or a unique beginning of it.
///
/// # Errors
/// If there is none. The error does not reveal jobs of other sessions.
pub(super) fn find(homing: &Homing, grant: &Grant, named: &str) -> Result<Job, Problem> {
    let prefix: JobIdPrefix = named.parse().map_err(homing::Error::from)?;
    let id = match grant.session() {
        None => homing.resolve(&prefix)?,
        Some(session) => homing.resolve_in(&prefix, session)?,
    };
    Ok(homing.get(id)?)
}

/// A number of milliseconds within a limit.
///
/// # Errors
/// If it is larger. The message says so.
pub(super) fn duration(name: &str, millis: u64, most: u64) -> Result<Duration, Problem> {
    if millis > most {
        return Err(Problem::invalid(format!("{name} is {millis}; the most is {most}")));
    }
    Ok(Duration::from_millis(millis))
}

/// The beginning of a period: an age, or a time.
///
/// # Errors
/// If it is neither.
pub(super) fn since(text: &str) -> Result<Timestamp, Problem> {
    parse_since(text).map_err(|usage| Problem::invalid(format!("since is invalid: {usage}")))
}

/// A number of entries within 1 and `most`.
///
/// # Errors
/// If it is outside. The message says so.
pub(super) fn limit(requested: Option<u32>, default: u32, most: u32) -> Result<u32, Problem> {
    match requested.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        limit => Err(Problem::invalid(format!("limit is {limit}; give 1 to {most}"))),
    }
}

impl LaunchRequest {
    fn into_spec(self, key: Option<JobKey>, grant: &Grant) -> Result<JobSpec, Problem> {
        let command = match (self.command, self.argv) {
            (Some(command), None) => JobCommand::script(command).map_err(homing::Error::from)?,
            (None, Some(argv)) => JobCommand::argv(argv).map_err(homing::Error::from)?,
            (None, None) | (Some(_), Some(_)) => {
                return Err(Problem::invalid(
                    "give either command, a script, or argv, a program with its arguments",
                ));
            }
        };
        let key = match (key, self.key) {
            (Some(header), Some(body)) if header != body => {
                return Err(Problem::invalid("the header Idempotency-Key and key in the body differ"));
            }
            (header, body) => header.or(body),
        };
        let mut spec = JobSpec::new(command);
        if let Some(session) = grant.narrowed(self.session)? {
            spec = spec.session(session);
        }
        if let Some(key) = key {
            spec = spec.key(key);
        }
        if let Some(name) = self.name {
            spec = spec.name(name);
        }
        if let Some(cwd) = self.cwd {
            if cwd.is_relative() && self.on.is_none() {
                return Err(Problem::invalid(format!("cwd is {}; give an absolute path", cwd.display())));
            }
            spec = spec.current_dir(cwd);
        }
        if let Some(executor) = self.on {
            spec = spec.on(executor);
        }
        if let Some(shell) = self.shell {
            spec = spec.shell(shell);
        }
        match self.timeout_ms {
            None => {}
            Some(0) => spec = spec.timeout(Timeout::None),
            Some(millis) => spec = spec.timeout(duration("timeout_ms", millis, MAX_TIMEOUT_MS)?),
        }
        if let Some(millis) = self.grace_ms {
            spec = spec.grace(duration("grace_ms", millis, MAX_TIMEOUT_MS)?);
        }
        if let Some(follow_up) = self.follow_up {
            spec = spec.follow_up(match follow_up {
                FollowUpChoice::Always => FollowUpPolicy::Always,
                FollowUpChoice::OnFailure => FollowUpPolicy::Failure,
                FollowUpChoice::Never => FollowUpPolicy::Never,
            });
        }
        if let Some(sink) = self.sink {
            spec = spec.sink(sink);
        }
        for (name, value) in self.env {
            spec = spec.env(name, value);
        }
        Ok(spec)
    }
}

impl ListParams {
    fn options(self, grant: &Grant) -> Result<ListOptions, Problem> {
        let state = |name: String| {
            let state = StateName::from_name(&name);
            state.ok_or_else(|| Problem::invalid("state is none of starting, running and finished"))
        };
        let cursor = |text: String| -> Result<ListCursor, Problem> {
            text.parse().map_err(|_| Problem::invalid("cursor is not one that this server has returned"))
        };
        let mut options = ListOptions {
            session: grant.narrowed(self.session)?,
            state: self.state.map(state).transpose()?,
            failed: self.failed.unwrap_or(false),
            since: self.since.as_deref().map(since).transpose()?,
            name: self.name,
            limit: Some(limit(self.limit, DEFAULT_LIMIT, MAX_LIMIT)?),
            before: self.cursor.map(cursor).transpose()?,
            ..ListOptions::default()
        };
        if let Some(ids) = self.ids {
            options.ids = parse_ids("ids", &ids)?;
        }
        Ok(options)
    }
}

/// Parses `ID,ID,…`, at most 100.
///
/// # Errors
/// If one of them is not a complete id, or there are more.
pub(super) fn parse_ids(name: &str, text: &str) -> Result<Vec<JobId>, Problem> {
    let ids: Result<Vec<JobId>, _> = text.split(',').map(|id| id.trim().parse()).collect();
    match ids.map_err(homing::Error::from)? {
        ids if ids.len() <= MAX_IDS => Ok(ids),
        ids => Err(Problem::invalid(format!("{name} names {} jobs; the most is {MAX_IDS}", ids.len()))),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<JobKey>, Problem> {
    let mut values = headers.get_all(KEY_HEADER).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => {
            let key = key.to_str().map_err(|_| Problem::invalid("Idempotency-Key is not plain text"))?;
            Ok(Some(key.parse().map_err(homing::Error::from)?))
        }
        (Some(_), Some(_)) => Err(Problem::invalid("more than one Idempotency-Key header")),
    }
}

/// Launches a job, and arranges that its session is notified.
fn launched(homing: &Homing, spec: JobSpec) -> Answered {
    let launch = homing.launch_or_find(spec)?;
    let DeliveryArrangement { problem, .. } = homing.arrange_delivery(&launch.job, ResultReader::Session);
    if let Some(problem) = problem {
        note(&format!("cannot start a monitor to deliver the result of job {}: {problem}", launch.job.id));
    }
    let status = if launch.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(json_with(status, &launch.job))
}

impl<'a> From<&'a UnsupportedJob> for UnsupportedDocument<'a> {
    fn from(job: &'a UnsupportedJob) -> UnsupportedDocument<'a> {
        UnsupportedDocument { id: job.id, reason: &job.reason }
    }
}
