//! Every finished job wakes its agent: at least once, in its own session, in order, within the limits. Each test is one
//! scenario with a sink that follows a script; the crash tests kill real monitors at named points. Built with
//! the feature `failpoints`.

mod alert;
mod bounds;
mod claimed;
mod codex;
mod crash;
mod events;
mod leased;
mod limits;
mod listen;
mod monitors;
mod on_demand;
mod processes;
mod recorder;
mod removed_sink;
mod setup;
mod slots;
mod story;
#[cfg(feature = "mcp")]
mod stream;
mod unreadable;
mod warnings;
mod webhook;
