//! Shared test utilities: a temporary home that checks for surviving processes on drop, waiting for conditions,
//! splitting of framed texts, and a scripted model for agent harnesses.

mod delegated_group;
mod frames;
mod home;
mod proc;
mod processor_time;
mod scripted_model;
mod skip;
mod wait;

pub use delegated_group::DelegatedGroup;
pub use frames::{Unframed, unframe};
pub use home::TempHome;
pub use proc::{Process, processes_where};
pub use processor_time::run_with_processor_time;
pub use scripted_model::{Action, Answered, Asked, JOB_ID, Rule, ScriptedModel, Who};
pub use skip::skip;
pub use wait::{WAIT_TIMEOUT, wait_until};
