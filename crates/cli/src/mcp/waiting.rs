//! Waits for jobs on behalf of a request. A wait does not occupy a thread: the kernel reports changes of the records.
//! Any number of waits can run at once, and a wait ends as soon as its client disconnects.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use homing::{Job, JobId, KilledBy, WaitFor, Waited, Waiting};
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Interval, interval, sleep, sleep_until};

use super::answer::ToolError;
use super::blocking;
use super::request::Request;

/// Longest time that one request may wait.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Time between two progress notifications. Clients abandon a silent request after 30 s or more.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

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
            let homing = Arc::clone(&request.homing);
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
    let homing = Arc::clone(&request.homing);
    let mut killing = blocking(move || homing.begin_killing(&jobs)).await;
    let changes = watch(killing.readable());
    let mut progress = request.progress.as_ref().map(|progress| progress.begin(grace));
    loop {
        let homing = Arc::clone(&request.homing);
        let is_finished;
        (killing, is_finished) =
            blocking(move || homing.has_killed(&mut killing).map(|is_finished| (killing, is_finished)))
                .await?;
        if is_finished {
            let homing = Arc::clone(&request.homing);
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
    let homing = Arc::clone(&request.homing);
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

/// A client's request for progress notifications.
pub(super) struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
}

impl Progress {
    /// The progress token of a request, if it has one.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Option<Progress> {
        let token = context.meta.get_progress_token()?;
        Some(Progress { peer: context.peer.clone(), token })
    }

    fn begin(&self, at_most: Duration) -> ProgressOfWait<'_> {
        ProgressOfWait { progress: self, began: Instant::now(), at_most, ticks: interval(PROGRESS_INTERVAL) }
    }
}

/// The progress of one wait: elapsed time of the time allowed.
struct ProgressOfWait<'a> {
    progress: &'a Progress,
    began: Instant,
    at_most: Duration,
    ticks: Interval,
}

/// Sends the next progress notification when it is due. Never completes if the client did not ask for progress.
async fn report_progress(progress: &mut Option<ProgressOfWait<'_>>) {
    let Some(progress) = progress else { return std::future::pending().await };
    progress.ticks.tick().await;
    let passed = progress.began.elapsed();
    let message = format!("still running after {}", homing::core::format_duration(passed));
    let notification = ProgressNotificationParam::new(progress.progress.token.clone(), passed.as_secs_f64())
        .with_total(progress.at_most.as_secs_f64())
        .with_message(message);
    // If the client is gone, sending the reply reports it.
    let _ = progress.progress.peer.notify_progress(notification).await;
}
