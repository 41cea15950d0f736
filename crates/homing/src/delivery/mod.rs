//! Delivers results to sessions: routes, holds, claims, sinks, and the monitor that hands wakes to sinks.

pub(crate) mod claim;
pub(crate) mod history;
pub(crate) mod hold;
pub(crate) mod lease;
pub(crate) mod listen;
pub(crate) mod monitor;
mod only_waiter;
pub(crate) mod prospects;
pub(crate) mod reader;
pub(crate) mod routes;
mod session_jobs;
pub(crate) mod sinks;
pub(crate) mod test_wake;
