//! What the tests share: a home of their own that proves at its end that nothing survived, waiting for conditions, texts
//! taken apart by their frames, and a model for agent harnesses that follows a script.

mod delegated_group;
mod frames;
mod home;
mod proc;
mod scripted_model;
mod wait;

pub use delegated_group::DelegatedGroup;
pub use frames::{Unframed, unframe};
pub use home::TempHome;
pub use proc::{Process, processes_where};
pub use scripted_model::{Action, Asked, JOB_ID, Rule, ScriptedModel, Who};
pub use wait::{WAIT_TIMEOUT, wait_until};
