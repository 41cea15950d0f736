//! One request: whose it is, which jobs it may see, and how its reply is followed.

use std::sync::Arc;

use homing::{DeliveryHold, Error, Homing, Job, JobId, JobIdPrefix, Origin};
use hyper::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

use super::answer::ToolError;
use super::delivery::{Delivery, Reading};
use super::server::Server;
use super::waiting::Progress;

/// What a tool needs to know of the request it answers.
pub(super) struct Request {
    pub(super) homing: Arc<Homing>,
    pub(super) origin: Origin,
    pub(super) sees_all: bool,
    /// Whether the client can take a task in place of a result.
    pub(super) takes_tasks: bool,
    pub(super) progress: Option<Progress>,
    delivery: Delivery,
    context: RequestContext<RoleServer>,
}

impl Request {
    pub(super) fn new(homing: Arc<Homing>, server: &Server, context: RequestContext<RoleServer>) -> Request {
        let client = context.client_info().map(|client| client.name);
        let sessions = server.sessions();
        Request {
            homing,
            origin: sessions.origin(&context.meta, client.as_deref()),
            sees_all: sessions.sees_all,
            takes_tasks: context.client_capabilities().is_some_and(|able| able.supports_tasks()),
            progress: Progress::asked_for(&context),
            delivery: delivery_of(&context),
            context,
        }
    }

    /// Ends when the client does not wait for the reply any more.
    pub(super) async fn cancelled(&self) {
        self.context.ct.cancelled().await;
    }

    /// Who looks for jobs here.
    pub(super) fn job_scope(&self) -> JobScope {
        JobScope { homing: Arc::clone(&self.homing), origin: self.origin.clone(), sees_all: self.sees_all }
    }

    /// Notes that the reply tells how these jobs ended, as far as they are over and the session's own.
    pub(super) fn acknowledge_on_delivery(&self, jobs: &[Job], hold: DeliveryHold) {
        let told = |job: &&Job| job.outcome().is_some() && job.follow_up.state.is_open();
        let own = jobs.iter().filter(told).filter(|job| job.session == self.origin.session);
        let jobs: Vec<JobId> = own.map(|job| job.id).collect();
        if !jobs.is_empty() {
            self.delivery.acknowledge_on_delivery(Reading { homing: Arc::clone(&self.homing), jobs, hold });
        }
    }
}

/// Over HTTP the reply is followed by what serves the connection, and known by the parts of the request.
fn delivery_of(context: &RequestContext<RoleServer>) -> Delivery {
    let of_http = || context.extensions.get::<Parts>()?.extensions.get::<Delivery>();
    context.extensions.get::<Delivery>().or_else(of_http).cloned().unwrap_or_default()
}

/// Finds jobs, as far as a session may see them. Blocks.
pub(super) struct JobScope {
    homing: Arc<Homing>,
    origin: Origin,
    sees_all: bool,
}

impl JobScope {
    /// The job of that id, or of the only id that begins like that.
    ///
    /// # Errors
    /// Where there is none that the session may see: it cannot tell whether another session has it.
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

    /// Several of them, each once.
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

    /// Where jobs of other sessions begin like that too: the one that is ours.
    fn own_job(&self, prefix: &JobIdPrefix) -> Option<JobId> {
        let of_session = homing::ListOptions {
            session: Some(self.origin.session.clone()),
            ..homing::ListOptions::default()
        };
        let jobs = self.homing.list(&of_session).ok()?;
        let mut meant = jobs.iter().map(|job| job.id).filter(|id| id.as_str().starts_with(prefix.as_str()));
        meant.next().filter(|_| meant.next().is_none())
    }
}
