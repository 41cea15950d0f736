//! The HTTP server as its clients see it.

mod access;
mod client;
mod events;
mod follow_ups;
mod hosts;
mod jobs;
mod lifecycle;
mod limits;
mod mcp;
mod output;
mod page;
mod routes;
mod schema;
mod server;
mod tokens;
mod wakes;
