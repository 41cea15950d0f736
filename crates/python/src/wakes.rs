//! Wakes for consumers in Python. A monitor runs in a thread of its own; what it has to say waits in a queue, and a
//! descriptor is readable while there is something. The thread never calls into Python.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing::{Delivery, Error, Homing, MonitorEvent, MonitorHandle, MonitorOptions, SessionId, Sink, Wake};
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, eventfd};

use crate::errors::Result;

/// Name of the sink in the ledger.
const SINK: &str = "python";

/// How long a monitor that is to stop waits for consumers that have not answered yet.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What the thread has to say.
enum News {
    /// A wake that waits for an answer.
    Offered(Wake, SyncSender<Delivery>),
    /// An answer is in the ledger: of which wake, and which.
    Recorded(String, &'static str),
    /// Something for the log.
    Said { event: &'static str, text: String },
    /// The monitor is over; why, where that was not asked for.
    Ended(Option<String>),
}

/// The queue between the monitor's threads and Python.
struct Queue {
    news: Mutex<VecDeque<News>>,
    bell: OwnedFd,
    /// Nobody takes wakes any more. Set and read with the lock of the news held.
    is_closed: AtomicBool,
}

impl Queue {
    fn push(&self, news: News) {
        let mut queue = self.news();
        match news {
            News::Offered(_, answer) if self.is_closed.load(Ordering::Relaxed) => return hand_back(&answer),
            news => queue.push_back(news),
        }
        drop(queue);
        // A counter that is full is readable all the same.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// Offers no more wakes, and hands back those that nobody has taken.
    fn close(&self) {
        let mut news = self.news();
        self.is_closed.store(true, Ordering::Relaxed);
        news.retain(|news| {
            if let News::Offered(_, answer) = news {
                hand_back(answer);
            }
            !matches!(news, News::Offered(..))
        });
    }

    fn pop(&self) -> Option<News> {
        let mut news = self.news();
        if news.len() <= 1 {
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        news.pop_front()
    }

    fn news(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever takes wakes next gets it, at once. That uses up no attempt.
fn hand_back(answer: &SyncSender<Delivery>) {
    let reason = "handed back: nobody takes wakes any more".to_owned();
    // It fails only where the attempt is over.
    let _ = answer.send(Delivery::Busy { retry_after: Some(Duration::ZERO), reason });
}

/// The sink that hands wakes to Python, and waits for the answer.
struct Consumers {
    queue: Arc<Queue>,
    timeout: Duration,
}

impl Sink for Consumers {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let (sender, answer): (_, Receiver<Delivery>) = mpsc::sync_channel(1);
        self.queue.push(News::Offered(wake.clone(), sender));
        answer.recv_timeout(self.timeout).unwrap_or_else(|error| Delivery::Failed {
            error: match error {
                RecvTimeoutError::Timeout => format!("no answer within {:?}", self.timeout),
                RecvTimeoutError::Disconnected => "the consumer let go of it without an answer".to_owned(),
            },
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// The wakes of a home, for as long as this is not stopped.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct WakeFeed {
    queue: Arc<Queue>,
    monitor: MonitorHandle,
}

impl WakeFeed {
    pub(crate) fn start(homing: &Arc<Homing>, sessions: &str, timeout: Duration) -> Result<WakeFeed> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Error::InvalidRequest(format!("cannot make an eventfd: {error}")))?;
        let queue = Arc::new(Queue { news: Mutex::default(), bell, is_closed: AtomicBool::new(false) });
        let observed = Arc::clone(&queue);
        let options = MonitorOptions::new()
            .sink(SINK, Consumers { queue: Arc::clone(&queue), timeout })
            .route(sessions, SINK)
            .stop_timeout(STOP_TIMEOUT)
            .observe(move |event| tell(&observed, event));
        let monitor = homing.monitor(options)?;
        let handle = monitor.handle();
        let ended = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("homing-monitor".to_owned())
            .spawn(move || {
                let end = monitor.run();
                ended.push(News::Ended(end.err().map(|error| error.to_string())));
            })
            .map_err(|error| Error::InvalidRequest(format!("cannot start a thread: {error}")))?;
        Ok(WakeFeed { queue, monitor: handle })
    }
}

/// Passes on what a consumer wants to know.
fn tell(queue: &Queue, event: &MonitorEvent) {
    match event {
        MonitorEvent::Alive => {}
        MonitorEvent::Answered { wake, delivery, .. } => {
            queue.push(News::Said { event: event.name(), text: event.to_string() });
            queue.push(News::Recorded(wake.to_string(), delivery.as_str()));
        }
        _ => queue.push(News::Said { event: event.name(), text: event.to_string() }),
    }
}

#[pymethods]
impl WakeFeed {
    fn fileno(&self) -> i32 {
        self.queue.bell.as_fd().as_raw_fd()
    }

    /// The next thing that happened, as its kind and what belongs to it: `("wake", Offer)`, `("recorded", (wake id, answer))`,
    /// `("said", (event, text))`, `("ended", error or None)`. `None` where there is nothing.
    fn next<'py>(&self, py: Python<'py>) -> Result<Option<(&'static str, Bound<'py, PyAny>)>> {
        Ok(match self.queue.pop() {
            None => None,
            Some(News::Offered(wake, answer)) => {
                let offer = Offer { wake, answer: Mutex::new(Some(answer)) };
                Some(("wake", Bound::new(py, offer)?.into_any()))
            }
            Some(News::Recorded(wake, answer)) => {
                Some(("recorded", (wake, answer).into_pyobject(py)?.into_any()))
            }
            Some(News::Said { event, text }) => Some(("said", (event, text).into_pyobject(py)?.into_any())),
            Some(News::Ended(error)) => Some(("ended", error.into_pyobject(py).map_err(PyErr::from)?)),
        })
    }

    /// Says that a session which was busy can take a wake now.
    fn session_is_free(&self, session: &str) -> Result<()> {
        self.monitor.session_is_free(&session.parse::<SessionId>()?);
        Ok(())
    }

    /// Takes up no more wakes, and hands back those that nobody has taken. The end is told as `ended`.
    fn stop(&self) {
        self.monitor.stop();
        self.queue.close();
    }
}

impl Drop for WakeFeed {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One attempt to deliver a wake. Let go of without an answer, it has failed.
#[pyclass(frozen, module = "homing._homing")]
pub(crate) struct Offer {
    wake: Wake,
    answer: Mutex<Option<SyncSender<Delivery>>>,
}

#[pymethods]
impl Offer {
    /// The document `homing.wake/1`, as JSON: what was frozen when the wake was made.
    #[getter]
    fn document(&self) -> String {
        self.wake.to_json()
    }

    /// Whether nobody has answered yet.
    #[getter]
    fn is_open(&self) -> bool {
        self.sender().is_some()
    }

    /// Answers. `False` where that comes too late: after another answer, or when the attempt is over.
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
