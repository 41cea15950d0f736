//! Waits for jobs on behalf of a request. A wait does not occupy a thread: the kernel reports changes of the records.
//! Any number of waits can run at once, and a wait ends as soon as its client disconnects.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use homing::{Job, JobId, KilledBy, WaitFor, Waited, Waiting};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until};

use super::answer::ToolError;
use super::blocking::blocking;
use super::progress::report_progress;
use super::request::Request;

/// Longest time that one request may wait.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// How often jobs are checked if the kernel has no inotify instance left.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(100);

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
    let deadline = Instant::now() + at_most;
    let mut waiting = request.homing.begin_waiting(&ids, wait_for);
    let changes = watch(waiting.readable());
    let mut progress = request.progress.as_ref().map(|progress| progress.begin(at_most));
    loop {
        let satisfied;
        (waiting, satisfied) = check(request, waiting).await?;
        if satisfied || Instant::now() >= deadline {
            let homing = request.homing.clone();
            return Ok(blocking(move || homing.wait(&ids, wait_for, Some(Duration::ZERO))).await?);
        }
        tokio::select! {
            () = change(changes.as_ref()) => {}
            () = sleep_until(deadline) => {}
            () = report_progress(&mut progress) => {}
            () = request.cancelled() => return Err(ToolError::Cancelled),
        }
    }
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
    let ids: Vec<JobId> = jobs.iter().map(|(id, _)| *id).collect();
    let homing = request.homing.clone();
    let mut killing = blocking(move || homing.begin_killing(&jobs)).await;
    let changes = watch(killing.readable());
    let mut progress = request.progress.as_ref().map(|progress| progress.begin(grace));
    loop {
        let homing = request.homing.clone();
        let is_finished;
        (killing, is_finished) =
            blocking(move || homing.has_killed(&mut killing).map(|is_finished| (killing, is_finished)))
                .await?;
        if is_finished {
            let homing = request.homing.clone();
            return Ok(blocking(move || homing.get_all(&ids)).await?);
        }
        tokio::select! {
            () = change(changes.as_ref()) => {}
            () = report_progress(&mut progress) => {}
            () = request.cancelled() => return Err(ToolError::Cancelled),
        }
    }
}

async fn check(request: &Request, mut waiting: Waiting) -> homing::Result<(Waiting, bool)> {
    let homing = request.homing.clone();
    blocking(move || homing.is_satisfied(&mut waiting).map(|satisfied| (waiting, satisfied))).await
}

#[expect(
    deprecated,
    reason = "unsound only for types that return another descriptor at each call; OwnedFd does not"
)]
fn watch(readable: Option<BorrowedFd<'_>>) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::new(readable?.try_clone_to_owned().ok()?).ok()
}

async fn change(changes: Option<&AsyncFd<OwnedFd>>) {
    match changes {
        Some(changes) => match changes.readable().await {
            // Clear before reading: a change in between makes it ready again.
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => sleep(FALLBACK_INTERVAL).await,
        },
        None => sleep(FALLBACK_INTERVAL).await,
    }
}
