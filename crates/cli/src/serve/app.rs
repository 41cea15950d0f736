//! The state that all requests share.

use std::path::PathBuf;
use std::sync::Arc;

use homing::core::Timestamp;
use homing::{Actor, Homing, SessionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::closing::Closing;
use super::hub::EventHub;
use super::metrics::Metrics;
use super::problem::Problem;
use super::scope::Scope;
use super::tokens::TokenCheck;
use crate::mcp::McpEndpoint;
use crate::server::{HomeHandle, Token, blocking};

/// Most event streams, live outputs and long waits at once.
const MAX_STREAMS: usize = 256;

/// Most test wakes at once. Each may occupy a thread for minutes.
const MAX_TEST_WAKES: usize = 2;

/// What a server is made of.
pub(super) struct App {
    pub(super) home: Arc<HomeHandle>,
    pub(super) mcp: McpEndpoint,
    pub(super) access: Access,
    pub(super) events: Arc<EventHub>,
    pub(super) metrics: Metrics,
    pub(super) started_at: Timestamp,
    pub(super) closing: Closing,
    streams: Arc<Semaphore>,
    test_wakes: Arc<Semaphore>,
}

/// Whom the server accepts.
pub(super) struct Access {
    /// The token of the server itself, with all rights.
    pub(super) own_token: Token,
    /// The file that contains it.
    pub(super) token_file: PathBuf,
    pub(super) tokens: TokenCheck,
    /// Accepted host names, without ports.
    pub(super) hosts: Vec<String>,
    /// Accepted web origins besides the page of the server.
    pub(super) origins: Vec<String>,
    /// The path below which a proxy serves everything: empty, or with a slash at its beginning and none at its end.
    pub(super) base_path: String,
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// The name of the token.
    pub(super) token: String,
    pub(super) scope: Scope,
}

impl App {
    pub(super) fn new(home: Arc<HomeHandle>, mcp: McpEndpoint, access: Access, closing: Closing) -> App {
        App {
            events: Arc::new(EventHub::new(Arc::clone(&home))),
            home,
            mcp,
            access,
            metrics: Metrics::new(),
            started_at: crate::local_time::now(),
            closing,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            test_wakes: Arc::new(Semaphore::new(MAX_TEST_WAKES)),
        }
    }

    /// Runs work on the home beside the connections.
    ///
    /// # Errors
    /// Those of `work`, and those of opening the home.
    pub(super) async fn on_home<T: Send + 'static>(
        self: &Arc<App>,
        work: impl FnOnce(Homing) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let home = Arc::clone(&self.home);
        blocking(move || work(home.homing()?)).await
    }

    /// The home, for work that does not block.
    ///
    /// # Errors
    /// Those of opening the home.
    pub(super) async fn homing(self: &Arc<App>) -> Result<Homing, Problem> {
        self.on_home(Ok).await
    }

    /// A place for a stream or a long wait, until it is dropped.
    ///
    /// # Errors
    /// If all places are taken.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Problem::busy(
                "too_many_streams",
                format!("{MAX_STREAMS} streams and waits are open, which is the most"),
            )
        })
    }

    /// The number of streams and long waits.
    pub(super) fn open_streams(&self) -> usize {
        MAX_STREAMS - self.streams.available_permits()
    }

    /// A place for a test wake.
    ///
    /// # Errors
    /// If all places are taken.
    pub(super) fn test_wake(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.test_wakes).try_acquire_owned().map_err(|_| {
            Problem::busy(
                "too_many_test_wakes",
                format!("{MAX_TEST_WAKES} test wakes are under way, which is the most"),
            )
        })
    }
}

impl Grant {
    /// The only session whose jobs are visible; `None` for all.
    pub(super) fn session(&self) -> Option<&SessionId> {
        self.scope.session()
    }

    /// Who changes something by this request, for the log of events.
    pub(super) fn actor(&self) -> Actor {
        let actor = Actor::token(&self.token);
        match self.session() {
            Some(session) => actor.for_session(session.clone()),
            None => actor,
        }
    }

    /// The session of a request that may name one: that of the token, else the named one.
    ///
    /// # Errors
    /// If the token is for another session.
    pub(super) fn narrowed(&self, named: Option<SessionId>) -> Result<Option<SessionId>, Problem> {
        match (self.session(), named) {
            (Some(own), Some(named)) if *own != named => Err(Problem::new(
                axum::http::StatusCode::FORBIDDEN,
                "forbidden",
                format!("the token is for session {own}, not for session {named}"),
            )),
            (Some(own), _) => Ok(Some(own.clone())),
            (None, named) => Ok(named),
        }
    }
}
