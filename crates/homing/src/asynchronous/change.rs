//! Waits in tokio until a watch has something to report.

use std::time::Duration;

use homing_supervisor::platform::async_wait::AsyncWait;
use homing_supervisor::platform::wait::WaitSource;
use tokio::time::sleep;

/// How often jobs are checked if the system has no watch left.
const FALLBACK_INTERVAL: Duration = Duration::from_millis(100);

/// Completes when jobs may have changed.
#[derive(Debug)]
pub(super) struct Change(Option<AsyncWait>);

impl Change {
    /// Watches a source; without one, jobs are checked periodically.
    pub(super) fn of(readable: Option<WaitSource<'_>>) -> Change {
        Change(readable.and_then(|readable| AsyncWait::new(readable).ok()))
    }

    pub(super) async fn wait(&self) {
        let Some(changes) = &self.0 else { return sleep(FALLBACK_INTERVAL).await };
        if changes.ready().await.is_err() {
            sleep(FALLBACK_INTERVAL).await;
        }
    }
}
