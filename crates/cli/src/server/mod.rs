//! Parts that the servers share: the home that is served, the runtime, connections, and the token of a client.

mod bearer;
mod blocking;
mod body;
mod connections;
mod home_handle;
mod runtime;
mod socket;
mod stalled;
mod token_file;

pub(crate) use bearer::bearer_token;
pub(crate) use blocking::blocking;
#[cfg(feature = "serve")]
pub(crate) use body::BodyError;
pub(crate) use body::read_body;
pub(crate) use connections::{Connection, ConnectionLimit, MAX_CONNECTIONS, serve_connection};
pub(crate) use home_handle::HomeHandle;
pub(crate) use runtime::run;
pub(crate) use socket::Socket;
pub(crate) use token_file::{TOKEN_VARIABLE, Token, TokenSource};
#[cfg(feature = "serve")]
pub(crate) use token_file::{new_token, token_from_file};
