//! One request: its session, the jobs it may see, and the delivery of its reply.

use homing::{Actor, DeliveryHold, Error, Homing, Job, JobIdPrefix, JobKey, Origin, SessionId};
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

/// The session of a request over HTTP, from its token. Put it into the extensions of the HTTP request.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "serve"),
    expect(dead_code, reason = "only the HTTP server has tokens for sessions")
)]
pub(crate) struct RequestSession(pub(crate) SessionId);

/// Who sends a request over HTTP, by its token. Put it into the extensions of the HTTP request.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "only the HTTP server has tokens with names"))]
pub(crate) struct RequestActor(pub(crate) Actor);

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
        let of_token = http_extension::<RequestSession>(&context);
        let (origin, sees_all) = match of_token {
            Some(RequestSession(session)) => (Origin { session: session.clone(), harness: None }, false),
            None => (sessions.origin(&context.meta, client.as_deref()), sessions.sees_all),
        };
        let homing = match http_extension::<RequestActor>(&context) {
            Some(RequestActor(actor)) => homing.with_actor(actor.clone()),
            None => homing,
        };
        Request {
            // One server may act for several sessions.
            homing: homing.for_session(&origin.session),
            origin,
            sees_all,
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

    /// The request of the protocol.
    pub(super) fn context(&self) -> &RequestContext<RoleServer> {
        &self.context
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
pub(super) fn delivery_of(context: &RequestContext<RoleServer>) -> Delivery {
    let direct = context.extensions.get::<Delivery>();
    direct.or_else(|| http_extension(context)).cloned().unwrap_or_default()
}

/// What the transport attached to the HTTP request.
fn http_extension<T: Send + Sync + 'static>(context: &RequestContext<RoleServer>) -> Option<&T> {
    context.extensions.get::<Parts>()?.extensions.get::<T>()
}

/// Finds jobs that a session may see. Blocks.
pub(super) struct JobScope {
    homing: Homing,
    origin: Origin,
    sees_all: bool,
}

impl JobScope {
    /// Only the jobs of the session itself.
    pub(super) fn own(self) -> JobScope {
        JobScope { sees_all: false, ..self }
    }

    /// The job with this id or unique prefix of an id.
    ///
    /// # Errors
    /// When the session may not see such a job. The error does not reveal whether another session has one.
    pub(super) fn find(&self, named: &str) -> Result<Job, ToolError> {
        let prefix: JobIdPrefix = named.trim().parse().map_err(Error::from)?;
        let id = match self.sees_all {
            true => self.homing.resolve(&prefix)?,
            false => self.homing.resolve_in(&prefix, &self.origin.session)?,
        };
        Ok(self.homing.get(id)?)
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
}
