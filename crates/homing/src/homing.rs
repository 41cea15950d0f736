//! The library's entry point: an open home and the operations on it.

mod delivery;
mod jobs;
mod maintenance;
mod open;

pub use open::OpenOptions;

use std::sync::Arc;

use crate::context::Context;

/// An open home. Any number of threads and processes may use the same home at once.
///
/// A process that is forked without `exec` must open the home again and must not use the inherited handle (SQLite
/// forbids it). While it lives, it also holds the locks that its parent held during the fork (flock(2)). So fork before
/// you open a home.
///
/// ```
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// use homing::{JobSpec, OpenOptions, WaitFor};
///
/// let homing = OpenOptions::new().home(folder.path().join("home")).open()?;
/// let job = homing.launch(JobSpec::script("echo hello")?)?;
/// let waited = homing.wait(&[job.id], WaitFor::All, None)?;
/// assert!(waited.jobs[0].outcome().is_some_and(|outcome| outcome.succeeded()));
/// assert!(homing.result_text(job.id)?.contains("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Homing {
    context: Arc<Context>,
}
