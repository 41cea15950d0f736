//! Waits for jobs on behalf of a request. A wait does not occupy a thread: the kernel reports changes of the records.
//! Any number of waits can run at once, and a wait ends as soon as its client disconnects.

use std::time::Duration;

use homing::{Job, JobId, KilledBy, WaitFor, Waited};
use tokio::time::timeout;

use super::answer::ToolError;
use super::progress::report_progress;
use super::request::Request;
use crate::server::blocking;

/// Longest time that one request may wait.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Waits until jobs have finished, for at most `at_most`.
///
/// # Errors
/// [`ToolError::Cancelled`] if the client cancels the request; the jobs keep running.
pub(super) async fn wait(
    request: &Request,
    ids: Vec<JobId>,
    wait_for: WaitFor,
    at_most: Duration,
) -> Result<Waited, ToolError> {
    let finished = timeout(at_most, request.homing.wait_async(&ids, wait_for));
    if let Ok(jobs) = unless_cancelled(request, at_most, finished).await? {
        return Ok(Waited { satisfied: true, jobs: jobs? });
    }
    // A job may have finished in the last instant.
    let homing = request.homing.clone();
    Ok(blocking(move || homing.wait(&ids, wait_for, Some(Duration::ZERO))).await?)
}

/// Stops jobs and returns them when they have finished. `grace` is their longest grace period.
///
/// # Errors
/// [`ToolError::Cancelled`] if the client cancels the request; the jobs are stopped anyway.
pub(super) async fn kill(
    request: &Request,
    jobs: Vec<(JobId, KilledBy)>,
    grace: Duration,
) -> Result<Vec<Job>, ToolError> {
    let homing = request.homing.clone();
    // In a task of its own: it goes on after the request is cancelled.
    let killing = tokio::spawn(async move { homing.kill_async(&jobs).await });
    match unless_cancelled(request, grace, killing).await? {
        Ok(killed) => Ok(killed?),
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Reports progress until `work` is done, which takes about `expected`.
///
/// # Errors
/// [`ToolError::Cancelled`] if the client cancels the request.
async fn unless_cancelled<T>(
    request: &Request,
    expected: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ToolError> {
    let mut progress = request.progress.as_ref().map(|progress| progress.begin(expected));
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            () = report_progress(&mut progress) => {}
            () = request.cancelled() => return Err(ToolError::Cancelled),
        }
    }
}
