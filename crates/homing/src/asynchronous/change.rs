//! Waits in tokio until a watch has something to report.

use std::time::Duration;

use homing_supervisor::platform::wait::{OwnedWaitSource, WaitSource};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

/// How often jobs are checked if the system has no watch left.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(100);

/// Completes when jobs may have changed.
#[derive(Debug)]
pub(super) struct Change(Option<AsyncFd<OwnedWaitSource>>);

impl Change {
    /// Watches a source; without one, jobs are checked periodically.
    #[expect(
        deprecated,
        reason = "unsound only for types that return another descriptor at each call; this one does not"
    )]
    pub(super) fn of(readable: Option<WaitSource<'_>>) -> Change {
        Change(readable.and_then(|readable| AsyncFd::new(readable.try_clone_to_owned().ok()?).ok()))
    }

    pub(super) async fn wait(&self) {
        match &self.0 {
            Some(changes) => match changes.readable().await {
                // Clear before checking: a change in between makes it ready again.
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => sleep(FALLBACK_INTERVAL).await,
            },
            None => sleep(FALLBACK_INTERVAL).await,
        }
    }
}
