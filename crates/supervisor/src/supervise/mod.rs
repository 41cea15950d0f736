//! The life of a supervisor, from its start to the recorded outcome of its job.

mod end;
mod finish;
pub(crate) mod life;
mod phase;
pub(crate) mod prefork;
mod readiness;
mod run;
mod start;
