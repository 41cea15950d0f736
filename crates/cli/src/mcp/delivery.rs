//! What follows from a reply having reached its client: the results in it were read by their session. A reply that did
//! not get there settles nothing, and the session is told of the jobs after all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing::{DeliveryHold, Homing, JobId};

use super::blocking;
use crate::exit::note;

/// Replies that have arrived and are being acknowledged, in all of this process.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// Ends when every reply that has arrived is acknowledged.
pub(super) async fn all_acknowledged() {
    while UNDER_WAY.load(Ordering::SeqCst) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Results of jobs that their own session is being told. While it is held, the session is not woken for them.
pub(super) struct Reading {
    pub(super) homing: Arc<Homing>,
    pub(super) jobs: Vec<JobId>,
    /// Let go of after they are acknowledged.
    pub(super) hold: DeliveryHold,
}

impl Reading {
    fn acknowledge(self) {
        // The reply is out and stands. The worst that follows is that the session is told once more.
        if let Err(error) = self.homing.acknowledge(&self.jobs) {
            note(&format!("the session will be told again: {error}"));
        }
        drop(self.hold);
    }
}

/// The reply to one request, on its way. Clones are the same reply.
#[derive(Clone, Default)]
pub(super) struct Delivery(Arc<Mutex<State>>);

enum State {
    UnderWay(Vec<Reading>),
    Failed,
}

impl Default for State {
    fn default() -> State {
        State::UnderWay(Vec::new())
    }
}

impl Delivery {
    /// Notes that the reply tells of these results. Where it can reach nobody any more, they stay due.
    pub(super) fn acknowledge_on_delivery(&self, reading: Reading) {
        match &mut *self.state() {
            State::UnderWay(readings) => readings.push(reading),
            State::Failed => drop(reading),
        }
    }

    /// The client has the reply.
    pub(super) async fn arrived(&self) {
        let readings = self.take();
        if !readings.is_empty() {
            UNDER_WAY.fetch_add(1, Ordering::SeqCst);
            blocking(|| readings.into_iter().for_each(Reading::acknowledge)).await;
            UNDER_WAY.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// The client will not get the reply.
    pub(super) fn failed(&self) {
        *self.state() = State::Failed;
    }

    fn take(&self) -> Vec<Reading> {
        match &mut *self.state() {
            State::UnderWay(readings) => std::mem::take(readings),
            State::Failed => Vec::new(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
