//! Wakes for consumers in Python. A monitor runs in its own thread and puts messages into a queue. A notifier is ready
//! while the queue has messages. The thread never calls into Python.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing::{Delivery, Error, Homing, MonitorEvent, MonitorHandle, MonitorOptions, SessionId, Sink, Wake};
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::wait::AsWaitSource;
use pyo3::prelude::*;

use crate::errors::Result;
use crate::waiter::Source;

/// Name of the sink in the ledger.
const SINK: &str = "python";

/// Time that a stopping monitor waits for the answers of consumers.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A message of the monitor's thread.
enum Message {
    /// A wake that waits for an answer.
    Offered(Wake, SyncSender<Delivery>),
    /// An answer is in the ledger: id of the wake, and the answer.
    Recorded(String, &'static str),
    /// A line for the log.
    Log { event: &'static str, text: String },
    /// The monitor has ended; with the error, if it failed.
    Ended(Option<String>),
}

/// The queue between the monitor's threads and Python.
struct Queue {
    messages: Mutex<VecDeque<Message>>,
    /// Ready while the queue has messages.
    notifier: Notifier,
    /// Whether no consumer claims wakes any more. Set and read with the queue locked.
    is_closed: AtomicBool,
}

impl Queue {
    fn push(&self, message: Message) {
        let mut queue = self.messages();
        match message {
            Message::Offered(_, answer) if self.is_closed.load(Ordering::Relaxed) => {
                return hand_back(&answer);
            }
            message => queue.push_back(message),
        }
        drop(queue);
        self.notifier.notify();
    }

    /// Offers no more wakes and hands back the unclaimed ones.
    fn close(&self) {
        let mut messages = self.messages();
        self.is_closed.store(true, Ordering::Relaxed);
        messages.retain(|message| {
            if let Message::Offered(_, answer) = message {
                hand_back(answer);
            }
            !matches!(message, Message::Offered(..))
        });
    }

    fn pop(&self) -> Option<Message> {
        let mut messages = self.messages();
        if messages.len() <= 1 {
            self.notifier.clear();
        }
        messages.pop_front()
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a wake, so that the next consumer gets it at once. No attempt is used up.
fn hand_back(answer: &SyncSender<Delivery>) {
    let reason = "handed back: no consumer is left".to_owned();
    // Fails only if the attempt has ended.
    let _ = answer.send(Delivery::Busy { retry_after: Some(Duration::ZERO), reason });
}

/// The sink that passes wakes to Python and waits for the answer.
struct Consumers {
    queue: Arc<Queue>,
    timeout: Duration,
}

impl Sink for Consumers {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let (sender, answer): (_, Receiver<Delivery>) = mpsc::sync_channel(1);
        self.queue.push(Message::Offered(wake.clone(), sender));
        answer.recv_timeout(self.timeout).unwrap_or_else(|error| Delivery::Failed {
            error: match error {
                RecvTimeoutError::Timeout => format!("no answer within {:?}", self.timeout),
                RecvTimeoutError::Disconnected => {
                    "the consumer released the wake without an answer".to_owned()
                }
            },
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// The wakes of a home, until it is stopped.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct WakeFeed {
    queue: Arc<Queue>,
    monitor: MonitorHandle,
}

impl WakeFeed {
    pub(crate) fn start(homing: &Homing, sessions: &str, timeout: Duration) -> Result<WakeFeed> {
        let notifier = Notifier::new()
            .map_err(|error| Error::InvalidRequest(format!("cannot notify the event loop: {error}")))?;
        let queue =
            Arc::new(Queue { messages: Mutex::default(), notifier, is_closed: AtomicBool::new(false) });
        let observed = Arc::clone(&queue);
        let options = MonitorOptions::new()
            .sink(SINK, Consumers { queue: Arc::clone(&queue), timeout })
            .route(sessions, SINK)
            .stop_timeout(STOP_TIMEOUT)
            .observe(move |event| forward(&observed, event));
        let monitor = homing.monitor(options)?;
        let handle = monitor.handle();
        let ended = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("homing-monitor".to_owned())
            .spawn(move || {
                let end = monitor.run();
                ended.push(Message::Ended(end.err().map(|error| error.to_string())));
            })
            .map_err(|error| Error::InvalidRequest(format!("cannot start a thread: {error}")))?;
        Ok(WakeFeed { queue, monitor: handle })
    }
}

/// Forwards an event of the monitor to the consumers.
fn forward(queue: &Queue, event: &MonitorEvent) {
    match event {
        MonitorEvent::Alive => {}
        MonitorEvent::Answered { wake, delivery, .. } => {
            queue.push(Message::Log { event: event.name(), text: event.to_string() });
            queue.push(Message::Recorded(wake.to_string(), delivery.as_str()));
        }
        _ => queue.push(Message::Log { event: event.name(), text: event.to_string() }),
    }
}

#[pymethods]
impl WakeFeed {
    /// `None` if event loops of this system cannot wait for it.
    fn fileno(&self) -> Option<i32> {
        self.queue.notifier.as_wait_source().descriptor()
    }

    /// For a `Waiter`, if event loops cannot wait for it.
    fn source(&self) -> Result<Source> {
        Source::of(self.queue.notifier.as_wait_source())
    }

    /// The next message, as its kind and its content: `("wake", Offer)`, `("recorded", (wake id, answer))`,
    /// `("log", (event, text))`, `("ended", error or None)`. `None` if the queue is empty.
    fn next<'py>(&self, py: Python<'py>) -> Result<Option<(&'static str, Bound<'py, PyAny>)>> {
        Ok(match self.queue.pop() {
            None => None,
            Some(Message::Offered(wake, answer)) => {
                let offer = Offer { wake, answer: Mutex::new(Some(answer)) };
                Some(("wake", Bound::new(py, offer)?.into_any()))
            }
            Some(Message::Recorded(wake, answer)) => {
                Some(("recorded", (wake, answer).into_pyobject(py)?.into_any()))
            }
            Some(Message::Log { event, text }) => Some(("log", (event, text).into_pyobject(py)?.into_any())),
            Some(Message::Ended(error)) => Some(("ended", error.into_pyobject(py).map_err(PyErr::from)?)),
        })
    }

    /// Retries the wakes of a session that was busy and is free now.
    fn session_is_free(&self, session: &str) -> Result<()> {
        self.monitor.session_is_free(&session.parse::<SessionId>()?);
        Ok(())
    }

    /// Stops the monitor and hands back unclaimed wakes. `ended` reports the end.
    fn stop(&self) {
        self.monitor.stop();
        self.queue.close();
    }
}

impl Drop for WakeFeed {
    fn drop(&mut self) {
        // A second stop would end the wait for answers.
        if !self.queue.is_closed.load(Ordering::Relaxed) {
            self.stop();
        }
    }
}

/// One attempt to deliver a wake. It has failed if it is released without an answer.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Offer {
    wake: Wake,
    answer: Mutex<Option<SyncSender<Delivery>>>,
}

#[pymethods]
impl Offer {
    /// The `homing.wake/1` document as JSON, from the time when the wake was written.
    #[getter]
    fn document(&self) -> String {
        self.wake.to_json()
    }

    /// Whether it is not answered yet.
    #[getter]
    fn is_open(&self) -> bool {
        self.sender().is_some()
    }

    /// Answers. `False` if it is too late: after another answer, or after the end of the attempt.
    #[pyo3(signature = (kind, *, retry_after_ms=None, reason=""))]
    fn answer(&self, kind: &str, retry_after_ms: Option<u64>, reason: &str) -> Result<bool> {
        let reason = reason.to_owned();
        let delivery = match kind {
            "delivered" => Delivery::Delivered,
            "handed_off" => Delivery::HandedOff,
            "busy" => Delivery::Busy { retry_after: retry_after_ms.map(Duration::from_millis), reason },
            "gone" => Delivery::Gone { reason },
            "failed" => Delivery::Failed { error: reason },
            other => return Err(Error::InvalidRequest(format!("there is no answer {other:?}")).into()),
        };
        let sender = self.sender().take();
        Ok(sender.is_some_and(|sender| sender.send(delivery).is_ok()))
    }
}

impl Offer {
    fn sender(&self) -> MutexGuard<'_, Option<SyncSender<Delivery>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
