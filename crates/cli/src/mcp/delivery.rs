//! Acknowledges the results in a reply once the reply has been written to its client. A reply that was not written
//! acknowledges nothing: the session is still notified of the jobs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing::{DeliveryHold, Homing, Job, SessionId};
use tokio::sync::Notify;

use crate::render::note;
use crate::server::blocking;

/// Number of delivered replies in this process that are being acknowledged.
static ACKNOWLEDGING: AtomicUsize = AtomicUsize::new(0);

/// Completes when every delivered reply is acknowledged.
pub(super) async fn all_acknowledged() {
    while ACKNOWLEDGING.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Results in a reply to their own session. While this exists, the session is not notified of them.
pub(super) struct Reading {
    pub(super) homing: Homing,
    /// The session that reads them.
    pub(super) reader: SessionId,
    pub(super) jobs: Vec<Job>,
    /// Released after the acknowledgement.
    pub(super) hold: DeliveryHold,
}

impl Reading {
    fn acknowledge(self) {
        // The reply is already written. At worst, the session is notified once more.
        if let Err(error) = self.homing.acknowledge_read(&self.jobs, &self.reader) {
            note(&format!("the session will be notified again: {error}"));
        }
        drop(self.hold);
    }
}

/// Tracks whether the reply to one request is written. Clones track the same reply.
#[derive(Clone, Default)]
pub(super) struct Delivery(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when the delivery fails.
    failure: Notify,
}

enum State {
    Pending(Vec<Reading>),
    Failed,
}

impl Default for State {
    fn default() -> State {
        State::Pending(Vec::new())
    }
}

impl Delivery {
    /// Registers results that the reply contains. If the reply has already failed, they stay undelivered.
    pub(super) fn acknowledge_on_delivery(&self, reading: Reading) {
        match &mut *self.state() {
            State::Pending(readings) => readings.push(reading),
            State::Failed => drop(reading),
        }
    }

    /// The reply was written to the client.
    pub(super) async fn arrived(&self) {
        let readings = self.take();
        if !readings.is_empty() {
            ACKNOWLEDGING.fetch_add(1, Ordering::SeqCst);
            blocking(|| readings.into_iter().for_each(Reading::acknowledge)).await;
            ACKNOWLEDGING.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The reply will not reach the client.
    pub(super) fn failed(&self) {
        *self.state() = State::Failed;
        self.0.failure.notify_waiters();
    }

    /// Completes when the reply can no longer reach the client.
    pub(super) async fn lost(&self) {
        // Before the state is read, so that no notification is missed.
        let failure = self.0.failure.notified();
        if !self.has_failed() {
            failure.await;
        }
    }

    fn has_failed(&self) -> bool {
        match *self.state() {
            State::Pending(_) => false,
            State::Failed => true,
        }
    }

    /// Whether the reply may still count as delivered.
    #[cfg(test)]
    pub(super) fn is_pending(&self) -> bool {
        matches!(*self.state(), State::Pending(_))
    }

    fn take(&self) -> Vec<Reading> {
        match &mut *self.state() {
            State::Pending(readings) => std::mem::take(readings),
            State::Failed => Vec::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
