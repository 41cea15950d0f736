//! Messages from other threads to a monitor's loop, and a descriptor that the loop polls.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing_core::{Delivery, SessionId, WakeId};
use homing_supervisor::DiskError;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

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
    pipe: Arc<OwnedFd>,
}

/// Receives the messages of a monitor.
pub(super) struct Mailbox {
    messages: Receiver<Message>,
    readable: OwnedFd,
}

/// Creates a mailbox and its sender.
///
/// # Errors
/// If the process has no descriptor left.
pub(super) fn mailbox() -> Result<(MailboxSender, Mailbox), Errno> {
    let (readable, pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (messages, receiver) = channel();
    let sender = MailboxSender { messages: Arc::new(Mutex::new(messages)), pipe: Arc::new(pipe) };
    Ok((sender, Mailbox { messages: receiver, readable }))
}

impl MailboxSender {
    /// Sends a message. It is lost if the monitor has ended.
    pub(super) fn send(&self, message: Message) {
        let sent = self.messages.lock().unwrap_or_else(PoisonError::into_inner).send(message);
        if sent.is_ok() {
            // A full pipe already wakes the monitor.
            let _ = rustix::io::write(&*self.pipe, b"!");
        }
    }
}

impl Mailbox {
    /// The pending messages.
    pub(super) fn take(&self) -> Vec<Message> {
        // Empty the pipe before reading: a message that arrives in between wakes the monitor again.
        let mut bytes = [0; 64];
        while rustix::io::read(&self.readable, &mut bytes).is_ok_and(|count| count > 0) {}
        self.messages.try_iter().collect()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}
