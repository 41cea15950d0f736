//! Progress notifications of a wait, for clients that ask for them.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::time::{Instant, Interval, interval};

/// Time between two progress notifications. Clients abandon a silent request after 30 s or more.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

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

    pub(super) fn begin(&self, at_most: Duration) -> ProgressOfWait<'_> {
        ProgressOfWait { progress: self, began: Instant::now(), at_most, ticks: interval(PROGRESS_INTERVAL) }
    }
}

/// The progress of one wait: elapsed time of the time allowed.
pub(super) struct ProgressOfWait<'a> {
    progress: &'a Progress,
    began: Instant,
    at_most: Duration,
    ticks: Interval,
}

/// Sends the next progress notification when it is due. Never completes if the client did not ask for progress.
pub(super) async fn report_progress(progress: &mut Option<ProgressOfWait<'_>>) {
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
