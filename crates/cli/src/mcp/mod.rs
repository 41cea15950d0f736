//! The MCP front end: jobs as tools and as tasks, over standard input and output or over HTTP. All durable state is
//! in the home, so a server may be killed and restarted.

mod advice;
mod answer;
mod arguments;
mod delivery;
mod event_feed;
mod events;
mod excerpt;
mod facts;
mod http;
mod line_transport;
mod lines;
mod listen_filter;
mod notification_stream;
mod progress;
mod request;
mod results;
mod server;
mod sessions;
mod stdio;
mod task_notifications;
mod tasks;
mod tools;
mod waiting;
mod words;

pub(crate) use http::HttpOptions;
#[cfg(feature = "serve")]
pub(crate) use http::{MAX_BODY_BYTES, McpEndpoint};
#[cfg(feature = "serve")]
pub(crate) use request::{RequestActor, RequestSession};
pub(crate) use sessions::SessionRule;

use std::io::{self, IsTerminal};
use std::sync::Arc;

use crate::exit::Failure;
use crate::render::say;
use crate::server::{HomeHandle, run};
use server::Server;

/// Serves one client on standard input and output until it disconnects.
pub(crate) fn serve_stdio(sessions: SessionRule) -> Result<(), Failure> {
    let server = Server::new(Arc::new(HomeHandle::open()?), sessions);
    if io::stdin().is_terminal() {
        say("waiting for an MCP client on standard input (to add one: claude mcp add homing -- homing mcp)");
    }
    run(stdio::serve(server), delivery::all_acknowledged())
}

/// Serves any number of clients over HTTP until the process ends.
pub(crate) fn serve_http(sessions: SessionRule, options: HttpOptions) -> Result<(), Failure> {
    let home = Arc::new(HomeHandle::open()?);
    let token = options.token.read(&home)?;
    run(http::serve(Server::new(home, sessions), options, token), delivery::all_acknowledged())
}
