//! One request: its session, the jobs it may see, and the delivery of its reply.

use homing::{DeliveryHold, Error, Homing, Job, JobId, JobIdPrefix, JobKey, Origin};
use hyper::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

use super::answer::ToolError;
use super::delivery::{Delivery, Reading};
use super::progress::Progress;
use super::sessions::SessionRule;

/// The key in the metadata of a request that names its idempotency key. Not an argument: programs that repeat requests set
/// it, and models would invent one.
const KEY: &str = "homing/key";

/// Context of the request that a tool answers.
pub(super) struct Request {
    pub(super) homing: Homing,
    pub(super) origin: Origin,
    pub(super) sees_all: bool,
    /// Whether the client accepts a task instead of a result.
    pub(super) accepts_tasks: bool,
    pub(super) progress: Option<Progress>,
    delivery: Delivery,
    context: RequestContext<RoleServer>,
}

impl Request {
    pub(super) fn new(
        homing: Homing,
        sessions: &SessionRule,
        context: RequestContext<RoleServer>,
    ) -> Request {
        let client = context.client_info().map(|client| client.name);
        Request {
            homing,
            origin: sessions.origin(&context.meta, client.as_deref()),
            sees_all: sessions.sees_all,
            accepts_tasks: context
                .client_capabilities()
                .is_some_and(|capabilities| capabilities.supports_tasks()),
            progress: Progress::of(&context),
            delivery: delivery_of(&context),
            context,
        }
    }

    /// The idempotency key of the request, if it has one.
    ///
    /// # Errors
    /// If it is not a valid key.
    pub(super) fn key(&self) -> Result<Option<JobKey>, ToolError> {
        let Some(key) = self.context.meta.get(KEY) else { return Ok(None) };
        let text = key.as_str().ok_or_else(|| {
            ToolError::arguments(format!("{KEY} in _meta is not a string"), "give a string or omit it")
        })?;
        Ok(Some(text.parse().map_err(Error::from)?))
    }

    /// Completes when the client cancels the request.
    pub(super) async fn cancelled(&self) {
        self.context.ct.cancelled().await;
    }

    /// The jobs that the session may see.
    pub(super) fn job_scope(&self) -> JobScope {
        JobScope { homing: self.homing.clone(), origin: self.origin.clone(), sees_all: self.sees_all }
    }

    /// Acknowledges these jobs when the reply is delivered: those of its own session that have finished.
    pub(super) fn acknowledge_on_delivery(&self, jobs: &[Job], hold: DeliveryHold) {
        let unread: Vec<Job> = jobs.iter().filter(|job| job.is_unread()).cloned().collect();
        if !unread.is_empty() {
            let (homing, reader) = (self.homing.clone(), self.origin.session.clone());
            self.delivery.acknowledge_on_delivery(Reading { homing, reader, jobs: unread, hold });
        }
    }
}

/// The delivery that the transport attached. Over HTTP it is in the parts of the HTTP request.
fn delivery_of(context: &RequestContext<RoleServer>) -> Delivery {
    let from_http = || context.extensions.get::<Parts>()?.extensions.get::<Delivery>();
    context.extensions.get::<Delivery>().or_else(from_http).cloned().unwrap_or_default()
}

/// Finds jobs that a session may see. Blocks.
pub(super) struct JobScope {
    homing: Homing,
    origin: Origin,
    sees_all: bool,
}

impl JobScope {
    /// The job with this id or unique prefix of an id.
    ///
    /// # Errors
    /// When the session may not see such a job. The error does not reveal whether another session has one.
    pub(super) fn find(&self, named: &str) -> Result<Job, ToolError> {
        let prefix: JobIdPrefix = named.trim().parse().map_err(Error::from)?;
        let none = || ToolError::from(Error::NoSuchJob(named.trim().to_owned()));
        let id = match self.homing.resolve(&prefix) {
            Err(Error::AmbiguousJob { .. }) if !self.sees_all => self.own_job(&prefix).ok_or_else(none)?,
            resolved => resolved?,
        };
        let job = self.homing.get(id)?;
        if self.sees_all || job.session == self.origin.session { Ok(job) } else { Err(none()) }
    }

    /// The jobs with these ids, without duplicates.
    pub(super) fn find_all(&self, named: &[String]) -> Result<Vec<Job>, ToolError> {
        let mut jobs: Vec<Job> = Vec::with_capacity(named.len());
        for name in named {
            let job = self.find(name)?;
            if jobs.iter().all(|known| known.id != job.id) {
                jobs.push(job);
            }
        }
        Ok(jobs)
    }

    /// The only job of this session with the prefix, if the prefix is ambiguous between sessions.
    fn own_job(&self, prefix: &JobIdPrefix) -> Option<JobId> {
        let of_session = homing::ListOptions {
            session: Some(self.origin.session.clone()),
            ..homing::ListOptions::default()
        };
        let jobs = self.homing.list(&of_session).ok()?;
        let mut matching =
            jobs.iter().map(|job| job.id).filter(|id| id.as_str().starts_with(prefix.as_str()));
        matching.next().filter(|_| matching.next().is_none())
    }
}
