//! One file per command, named after it, with its arguments and its execution. The other files are helpers that
//! several commands share.

mod acknowledge_read;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod executors;
pub(crate) mod follow_up_change;
pub(crate) mod follow_ups;
mod foreground;
pub(crate) mod hook;
pub(crate) mod kill;
mod last_lines;
pub(crate) mod list;
pub(crate) mod listen;
pub(crate) mod man;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;
pub(crate) mod monitor;
mod monitor_service;
pub(crate) mod output;
mod page;
pub(crate) mod prune;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod rerun;
pub(crate) mod result;
pub(crate) mod run;
mod sandbox;
mod selection;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "serve")]
mod serve_service;
#[cfg(feature = "serve")]
mod server_args;
mod service_file;
pub(crate) mod setup;
pub(crate) mod setup_host;
pub(crate) mod show;
mod stream;
#[cfg(feature = "serve")]
pub(crate) mod token;
#[cfg(feature = "top")]
pub(crate) mod top;
mod unreadable;
pub(crate) mod wait;
mod watch_list;
