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
    let (now, all) = (Arc::clone(&context), ids.clone());
    let mut waiting = blocking(move || Waiting::new(&now.store.home, &all, wait_for)).await;
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
    // One closure: it asks the supervisors even if the future is dropped meanwhile.
    let (mut killing, mut is_done) = blocking(move || {
        let mut killing = now.store.begin_killing(&jobs);
        now.has_killed(&mut killing).map(|is_done| (killing, is_done))
    })
    .await?;
    let change = Change::of(killing.readable());
    while !is_done {
        change.wait().await;
        let now = Arc::clone(&context);
        (killing, is_done) = step(killing, move |killing| now.has_killed(killing)).await?;
    }
    blocking(move || context.get_all(&ids)).await
}
