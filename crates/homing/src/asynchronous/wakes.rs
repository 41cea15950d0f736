//! Wakes as a stream: a monitor runs in its own thread and offers each wake to the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

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
    is_stopped: AtomicBool,
    /// Whether the monitor has ended, so that nobody records answers.
    has_ended: Arc<AtomicBool>,
    end: oneshot::Receiver<Result<MonitorEnd>>,
}

/// One attempt to deliver a wake. Answer it; an attempt that is dropped without an answer has failed.
#[derive(Debug)]
pub struct Offer {
    wake: Wake,
    answer: SyncSender<Delivery>,
    /// When the attempt has failed for lack of an answer.
    expires_at: Instant,
    has_ended: Arc<AtomicBool>,
}

impl Offer {
    /// The wake.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Answers. Returns `false` if it is too late: the attempt has timed out, or the monitor has stopped.
    pub fn answer(self, delivery: Delivery) -> bool {
        !self.has_ended.load(Ordering::Acquire) && self.answer.send(delivery).is_ok()
    }
}

/// The sink that passes wakes to the stream and waits for the answer.
struct Consumer {
    offers: UnboundedSender<Offer>,
    timeout: Duration,
    has_ended: Arc<AtomicBool>,
}

impl Sink for Consumer {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let (sender, answer) = sync_channel(1);
        let offer = Offer {
            wake: wake.clone(),
            answer: sender,
            expires_at: Instant::now() + self.timeout,
            has_ended: Arc::clone(&self.has_ended),
        };
        if self.offers.send(offer).is_err() {
            return handed_back();
        }
        answer.recv_timeout(self.timeout).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => {
                Delivery::Failed { error: format!("the consumer did not answer within {:?}", self.timeout) }
            }
            RecvTimeoutError::Disconnected if self.offers.is_closed() => handed_back(),
            RecvTimeoutError::Disconnected => {
                Delivery::Failed { error: "the consumer dropped the wake without an answer".to_owned() }
            }
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// The answer for a wake whose stream was dropped. No attempt is used up.
fn handed_back() -> Delivery {
    Delivery::Busy { retry_after: Some(Duration::ZERO), reason: "the stream was dropped".to_owned() }
}

impl WakeStream {
    pub(crate) fn start(context: &Arc<Context>, sessions: &str, timeout: Duration) -> Result<WakeStream> {
        let (sender, offers) = unbounded_channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let consumer = Consumer { offers: sender, timeout, has_ended: Arc::clone(&has_ended) };
        let options =
            MonitorOptions::new().sink(SINK, consumer).route(sessions, SINK).stop_timeout(STOP_TIMEOUT);
        let monitor = context.monitor(options)?;
        let handle = monitor.handle();
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("homing-monitor".to_owned())
            .spawn({
                let has_ended = Arc::clone(&has_ended);
                move || {
                    let end = monitor.run();
                    has_ended.store(true, Ordering::Release);
                    // Fails only if the stream was dropped.
                    let _ = ended.send(end);
                }
            })
            .map_err(|error| Error::InvalidRequest(format!("cannot start a thread: {error}")))?;
        Ok(WakeStream { offers, monitor: handle, is_stopped: AtomicBool::new(false), has_ended, end })
    }

    /// Reports that a busy session is free, so that its wakes are offered again at once.
    pub fn session_is_free(&self, session: &SessionId) {
        self.monitor.session_is_free(session);
    }

    /// Stops the monitor. The stream ends once it has stopped.
    pub fn stop(&self) {
        // A second stop would end the wait for answers.
        if !self.is_stopped.swap(true, Ordering::Relaxed) {
            self.monitor.stop();
        }
    }
}

impl Stream for WakeStream {
    type Item = Result<Offer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Result<Offer>>> {
        while let Poll::Ready(Some(offer)) = self.offers.poll_recv(context) {
            // An attempt that has failed meanwhile comes again.
            if Instant::now() < offer.expires_at && !self.has_ended.load(Ordering::Acquire) {
                return Poll::Ready(Some(Ok(offer)));
            }
        }
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
        self.stop();
    }
}
