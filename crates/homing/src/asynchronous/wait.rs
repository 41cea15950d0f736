//! Waits for jobs, and ends them, in tokio.

use std::sync::Arc;

use homing_core::{Job, JobId, KilledBy};

use super::change::Change;
use super::{blocking, step};
use crate::Result;
use crate::context::Context;
use crate::store::wait::{WaitFor, Waiting};

/// Waits until jobs have finished, and returns their states.
pub(crate) async fn wait(context: Arc<Context>, ids: Vec<JobId>, wait_for: WaitFor) -> Result<Vec<Job>> {
    let mut waiting = Waiting::new(&context.store.home, &ids, wait_for);
    let change = Change::of(waiting.readable());
    loop {
        let is_satisfied;
        let now = Arc::clone(&context);
        (waiting, is_satisfied) = step(waiting, move |waiting| now.is_satisfied(waiting)).await?;
        if is_satisfied {
            return blocking(move || context.get_all(&ids)).await;
        }
        change.wait().await;
    }
}

/// Ends jobs, and returns their states when none of their processes is left.
pub(crate) async fn kill(context: Arc<Context>, jobs: Vec<(JobId, KilledBy)>) -> Result<Vec<Job>> {
    let ids: Vec<JobId> = jobs.iter().map(|(id, _)| *id).collect();
    let now = Arc::clone(&context);
    let mut killing = blocking(move || now.store.begin_killing(&jobs)).await;
    let change = Change::of(killing.readable());
    loop {
        let is_done;
        let now = Arc::clone(&context);
        (killing, is_done) = step(killing, move |killing| now.has_killed(killing)).await?;
        if is_done {
            return blocking(move || context.get_all(&ids)).await;
        }
        change.wait().await;
    }
}
