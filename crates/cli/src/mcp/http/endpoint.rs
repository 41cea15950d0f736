//! The MCP endpoint of a server: answers one request whose client was accepted and whose body was read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

#[cfg(feature = "serve")]
use super::super::delivery;
use super::super::delivery::Delivery;
use super::super::listen_filter::keep_in_body;
use super::super::server::Server;
#[cfg(feature = "serve")]
use super::super::sessions::SessionRule;
use super::super::waiting::MAX_WAIT;
use super::body::{Reply, TrackedBody};
#[cfg(feature = "serve")]
use crate::server::HomeHandle;
use crate::server::Socket;

/// Longest body of a request, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;

/// The endpoint.
pub(crate) struct McpEndpoint {
    service: StreamableHttpService<Server, LocalSessionManager>,
}

impl McpEndpoint {
    /// An endpoint that maps requests to sessions by `sessions`, unless a request has a
    /// [`RequestSession`](super::super::RequestSession). The caller checks the hosts and origins of requests.
    #[cfg(feature = "serve")]
    pub(crate) fn new(home: Arc<HomeHandle>, sessions: SessionRule) -> McpEndpoint {
        let config = StreamableHttpServerConfig::default().disable_allowed_hosts().disable_allowed_origins();
        McpEndpoint::with(Server::new(home, sessions), config)
    }

    pub(super) fn with(server: Server, config: StreamableHttpServerConfig) -> McpEndpoint {
        let mut sessions = LocalSessionManager::default();
        // A wait without progress notifications sends nothing. Its session must survive it.
        sessions.session_config.keep_alive = Some(MAX_WAIT + Duration::from_secs(300));
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions), config);
        McpEndpoint { service }
    }

    /// Answers a request that came by this socket. Results in the reply are acknowledged when it is written.
    pub(crate) async fn answer(&self, request: Request<Bytes>, socket: Socket) -> Response<Reply> {
        let mut request = request.map(|body| Full::new(keep_in_body(body)));
        let delivery = Delivery::default();
        request.extensions_mut().insert(delivery.clone());
        self.service
            .handle(request)
            .await
            .map(|body| Reply::Tracked(TrackedBody::new(body, delivery, socket)))
    }

    /// Completes when every result in a written reply is acknowledged.
    #[cfg(feature = "serve")]
    pub(crate) async fn all_acknowledged() {
        delivery::all_acknowledged().await;
    }
}
