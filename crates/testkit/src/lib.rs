//! What the tests share: a home of their own that proves at its end that nothing survived, and waiting for conditions.

mod home;
mod proc;
mod wait;

pub use home::TempHome;
pub use proc::{Process, processes_where};
pub use wait::{PATIENCE, wait_until};
