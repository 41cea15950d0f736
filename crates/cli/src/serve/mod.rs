//! `homing serve`: the jobs of a home over HTTP, for hosts in any language and for a web page.
//!
//! | file | contents |
//! |---|---|
//! | `start`, `instance`, `listen`, `directory`, `browser_link` | the life of a server: one for each home, its sockets, its files |
//! | `gate`, `scope`, `tokens` | who may do what |
//! | `routes`, and a file for each group of routes | the API: parse, call the library, answer |
//! | `events`, `hub`, `sse` | streams |
//! | `assets`, `page/` | the web page |
//! | `openapi.json`, `openapi`, `schema` | the description of the API, which tests generate from the routes |

mod agents;
mod answer;
mod app;
mod assets;
mod browser;
mod browser_link;
mod closing;
mod directory;
mod events;
mod extract;
mod follow_ups;
mod gate;
mod hub;
mod info;
mod instance;
mod jobs;
mod listen;
mod metrics;
#[cfg(test)]
mod openapi;
mod output;
mod problem;
mod routes;
#[cfg(test)]
mod schema;
mod scope;
mod sessions;
mod sse;
mod start;
mod tokens;
mod wakes;
mod while_valid;

pub(crate) use listen::TcpAddress;
pub(crate) use scope::Scope;
pub(crate) use start::{ServeOptions, serve};
pub(crate) use tokens::{NewToken, TokenFile, TokenRecord};
