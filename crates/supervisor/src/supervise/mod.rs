//! The life of a supervisor, from its start to the recorded outcome of its job.

pub(crate) mod attached;
mod finish;
pub(crate) mod life;
mod phase;
pub(crate) mod prefork;
mod readiness;
mod run;
mod start;
