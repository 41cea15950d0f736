//! Waits in tokio until a source is ready, without a thread.

use std::io;

use tokio::io::unix::AsyncFd;

use super::wait::{OwnedWaitSource, WaitSource};

/// A source that tokio waits for. It does not depend on the original.
#[derive(Debug)]
pub struct AsyncWait(AsyncFd<OwnedWaitSource>);

impl AsyncWait {
    /// Registers a source with the tokio runtime of the caller, until it can be read.
    ///
    /// # Errors
    /// If this process has no descriptor left, or the runtime does no I/O.
    #[expect(
        deprecated,
        reason = "unsound only for types that return another descriptor at each call; this one does not"
    )]
    pub fn new(source: WaitSource<'_>) -> io::Result<AsyncWait> {
        Ok(AsyncWait(AsyncFd::new(source.try_clone_to_owned()?)?))
    }

    /// Completes when the source has become ready since the last call, or may have. Check after this what has changed.
    ///
    /// # Errors
    /// If the runtime shuts down.
    pub async fn ready(&self) -> io::Result<()> {
        // Clear before the caller checks: a change in between makes it ready again.
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}
