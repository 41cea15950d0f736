//! Wakes as a stream: a monitor runs in its own thread and offers each wake to the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use futures_util::stream::Stream;
use homing_core::{Delivery, SessionId, Wake};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::context::Context;
use crate::delivery::monitor::{MonitorEnd, MonitorHandle, MonitorOptions};
use crate::delivery::sinks::Sink;
use crate::{Error, Result};

/// The name of the sink in the ledger.
const SINK: &str = "stream";

/// How long a stopping monitor waits for answers.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The wakes of a home's sessions, while this exists. It is the home's monitor: only one is active at a time, others
/// stand by. Ends when the monitor has ended, with its error if it failed.
#[derive(Debug)]
pub struct WakeStream {
    offers: UnboundedReceiver<Offer>,
    monitor: MonitorHandle,
    end: oneshot::Receiver<Result<MonitorEnd>>,
}

/// One attempt to deliver a wake. Answer it; an attempt that is dropped without an answer has failed.
#[derive(Debug)]
pub struct Offer {
    wake: Wake,
    answer: SyncSender<Delivery>,
}

impl Offer {
    /// The wake.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Answers. Returns `false` if it is too late: the attempt has timed out, or the monitor has stopped.
    pub fn answer(self, delivery: Delivery) -> bool {
        self.answer.send(delivery).is_ok()
    }
}

/// The sink that passes wakes to the stream and waits for the answer.
struct Consumer {
    offers: UnboundedSender<Offer>,
    timeout: Duration,
}

impl Sink for Consumer {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let (sender, answer) = sync_channel(1);
        if self.offers.send(Offer { wake: wake.clone(), answer: sender }).is_err() {
            let reason = "handed back: the stream was dropped".to_owned();
            return Delivery::Busy { retry_after: Some(Duration::ZERO), reason };
        }
        answer.recv_timeout(self.timeout).unwrap_or_else(|_| Delivery::Failed {
            error: format!("the consumer did not answer within {:?}", self.timeout),
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl WakeStream {
    pub(crate) fn start(context: &Arc<Context>, sessions: &str, timeout: Duration) -> Result<WakeStream> {
        let (sender, offers) = unbounded_channel();
        let options = MonitorOptions::new()
            .sink(SINK, Consumer { offers: sender, timeout })
            .route(sessions, SINK)
            .stop_timeout(STOP_TIMEOUT);
        let monitor = context.monitor(options)?;
        let handle = monitor.handle();
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("homing-monitor".to_owned())
            .spawn(move || ended.send(monitor.run()))
            .map_err(|error| Error::InvalidRequest(format!("cannot start a thread: {error}")))?;
        Ok(WakeStream { offers, monitor: handle, end })
    }

    /// Reports that a busy session is free, so that its wakes are offered again at once.
    pub fn session_is_free(&self, session: &SessionId) {
        self.monitor.session_is_free(session);
    }

    /// Stops the monitor. The stream ends once it has stopped.
    pub fn stop(&self) {
        self.monitor.stop();
    }
}

impl Stream for WakeStream {
    type Item = Result<Offer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Result<Offer>>> {
        if let Some(offer) = ready!(self.offers.poll_recv(context)) {
            return Poll::Ready(Some(Ok(offer)));
        }
        // The monitor has dropped its sink: it has ended.
        if self.end.is_terminated() {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(Pin::new(&mut self.end).poll(context)) {
            Ok(Err(error)) => Some(Err(error)),
            Ok(Ok(_)) | Err(_) => None,
        })
    }
}

impl Drop for WakeStream {
    fn drop(&mut self) {
        self.monitor.stop();
    }
}
