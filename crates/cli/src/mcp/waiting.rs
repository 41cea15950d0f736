//! Waits for jobs on behalf of a request. A wait holds no thread: the kernel wakes us when a record changes, so any
//! number of them stand side by side, and one whose client is gone ends at once.

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

/// Longest time that one request may wait: long enough for any client, and no wait is for ever.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Time between two notices of progress. Clients that give up a silent request do so after 30 s or more.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// How often jobs are looked at where the kernel has no more watches to give.
const FALLBACK_PAUSE: Duration = Duration::from_millis(100);

/// Waits until jobs are over, or the time is.
///
/// # Errors
/// [`ToolError::Cancelled`] where the client does not wait any more; the jobs go on.
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
        (waiting, satisfied) = look(request, waiting).await?;
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

/// Ends jobs, and returns them when they are over; `grace` is the longest of their grace times.
///
/// # Errors
/// [`ToolError::Cancelled`] where the client does not wait any more; the jobs were asked to end.
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
        let is_done;
        (killing, is_done) =
            blocking(move || homing.has_killed(&mut killing).map(|is_done| (killing, is_done))).await?;
        if is_done {
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

async fn look(request: &Request, mut waiting: Waiting) -> homing::Result<(Waiting, bool)> {
    let homing = Arc::clone(&request.homing);
    blocking(move || homing.is_satisfied(&mut waiting).map(|satisfied| (waiting, satisfied))).await
}

#[expect(
    deprecated,
    reason = "its danger is a type that gives out other descriptors at each call; OwnedFd does not"
)]
fn watch(readable: Option<BorrowedFd<'_>>) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::new(readable?.try_clone_to_owned().ok()?).ok()
}

async fn change(changes: Option<&AsyncFd<OwnedFd>>) {
    match changes {
        Some(changes) => match changes.readable().await {
            // Before it is read: what happens in between makes it ready once more.
            Ok(mut ready) => ready.clear_ready(),
            Err(_) => sleep(FALLBACK_PAUSE).await,
        },
        None => sleep(FALLBACK_PAUSE).await,
    }
}

/// A client's wish to hear how a wait is getting on.
pub(super) struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
}

impl Progress {
    /// The wish in a request, where it holds one.
    pub(super) fn asked_for(context: &RequestContext<RoleServer>) -> Option<Progress> {
        let token = context.meta.get_progress_token()?;
        Some(Progress { peer: context.peer.clone(), token })
    }

    fn begin(&self, at_most: Duration) -> ProgressOfWait<'_> {
        ProgressOfWait { progress: self, began: Instant::now(), at_most, ticks: interval(PROGRESS_EVERY) }
    }
}

/// The progress of one wait: time that has passed, of the time it may take.
struct ProgressOfWait<'a> {
    progress: &'a Progress,
    began: Instant,
    at_most: Duration,
    ticks: Interval,
}

/// Tells of the progress when it is time to; never, where nobody asked.
async fn report_progress(progress: &mut Option<ProgressOfWait<'_>>) {
    let Some(progress) = progress else { return std::future::pending().await };
    progress.ticks.tick().await;
    let passed = progress.began.elapsed();
    let message = format!("still running after {}", homing::core::format_duration(passed));
    let notice = ProgressNotificationParam::new(progress.progress.token.clone(), passed.as_secs_f64())
        .with_total(progress.at_most.as_secs_f64())
        .with_message(message);
    // Whether anybody is left to hear it is found out by the reply.
    let _ = progress.progress.peer.notify_progress(notice).await;
}
