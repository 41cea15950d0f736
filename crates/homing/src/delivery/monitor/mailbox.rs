//! Messages from other threads to a monitor's loop. They end its wait.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing_core::{Delivery, SessionId, WakeId};
use homing_supervisor::DiskError;
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::wait::{AsWaitSource, WaitSource};

use super::lock::MonitorLock;

/// A message to the loop.
pub(super) enum Message {
    /// A sink answered.
    Answered {
        wake: WakeId,
        session: SessionId,
        delivery: Delivery,
        acknowledge_within: Duration,
        took: Duration,
    },
    /// The processes of an earlier monitor's attempt have ended.
    AnswerLost { wake: WakeId, session: SessionId },
    /// An alert about that many dead wakes was answered.
    Alerted { sink: String, wakes: usize, delivery: Delivery },
    /// The session is free.
    SessionFree(SessionId),
    /// The lock, or the error that ended the wait for it.
    Locked(Result<MonitorLock, DiskError>),
    /// A request to stop.
    Stop,
}

/// Sends messages to a monitor.
#[derive(Clone)]
pub(super) struct MailboxSender {
    messages: Arc<Mutex<Sender<Message>>>,
    notifier: Arc<Notifier>,
}

/// Receives the messages of a monitor.
pub(super) struct Mailbox {
    messages: Receiver<Message>,
    notifier: Arc<Notifier>,
}

/// Creates a mailbox and its sender.
///
/// # Errors
/// If the process has no descriptor left.
pub(super) fn mailbox() -> io::Result<(MailboxSender, Mailbox)> {
    let notifier = Arc::new(Notifier::new()?);
    let (messages, receiver) = channel();
    let sender = MailboxSender { messages: Arc::new(Mutex::new(messages)), notifier: Arc::clone(&notifier) };
    Ok((sender, Mailbox { messages: receiver, notifier }))
}

impl MailboxSender {
    /// Sends a message. It is lost if the monitor has ended.
    pub(super) fn send(&self, message: Message) {
        let sent = self.messages.lock().unwrap_or_else(PoisonError::into_inner).send(message);
        if sent.is_ok() {
            self.notifier.notify();
        }
    }
}

impl Mailbox {
    /// The pending messages.
    pub(super) fn take(&self) -> Vec<Message> {
        self.notifier.clear();
        self.messages.try_iter().collect()
    }

    /// A source that is ready while messages are pending.
    pub(super) fn wait_source(&self) -> WaitSource<'_> {
        self.notifier.as_wait_source()
    }
}
