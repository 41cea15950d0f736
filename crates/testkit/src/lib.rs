//! Shared test utilities: a temporary home that checks for surviving processes on drop, waiting for conditions,
//! splitting of framed texts, a helper program for jobs, and a scripted model for agent harnesses.

#[cfg(target_os = "linux")]
mod delegated_group;
mod frames;
mod home;
mod pattern;
mod process;
#[cfg(target_os = "linux")]
mod processor_time;
mod scripted_model;
mod skip;
mod tool;
mod wait;

#[cfg(target_os = "linux")]
pub use delegated_group::DelegatedGroup;
pub use frames::{Unframed, unframe};
pub use home::TempHome;
pub use pattern::pattern;
pub use process::{Process, kill, processes_where};
#[cfg(target_os = "linux")]
pub use processor_time::run_with_processor_time;
pub use scripted_model::{Action, Answered, Asked, JOB_ID, Rule, ScriptedModel, Who};
pub use skip::skip;
pub use tool::tool;
pub use wait::{WAIT_TIMEOUT, wait_until};
