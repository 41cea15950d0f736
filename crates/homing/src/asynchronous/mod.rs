//! Waits and streams for hosts that run on tokio. Disk access runs on tokio's blocking threads; a wait does not occupy
//! a thread.

mod change;
pub(crate) mod events;
pub(crate) mod lease;
pub(crate) mod output;
pub(crate) mod wait;
pub(crate) mod wakes;

use crate::Result;

/// Runs `work` on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down: nobody waits for the answer.
            Err(_) => std::future::pending().await,
        },
    }
}

/// As [`blocking`], for a step that changes a state.
async fn step<S: Send + 'static, T: Send + 'static>(
    mut state: S,
    work: impl FnOnce(&mut S) -> Result<T> + Send + 'static,
) -> Result<(S, T)> {
    blocking(move || work(&mut state).map(|done| (state, done))).await
}
