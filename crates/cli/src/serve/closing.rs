//! Tells streams and waits that the server is about to end.

use tokio::sync::watch;

/// Whether the server is about to end.
#[derive(Clone)]
pub(super) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// A signal, and the sender that gives it.
    pub(super) fn new() -> (watch::Sender<bool>, Closing) {
        let (sender, receiver) = watch::channel(false);
        (sender, Closing(receiver))
    }

    /// Completes when the server is about to end.
    pub(super) async fn begun(&self) {
        let mut receiver = self.0.clone();
        // An error means that the sender is gone: the server ends.
        let _ = receiver.wait_for(|closing| *closing).await;
    }
}
