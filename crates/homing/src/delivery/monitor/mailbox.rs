//! How a monitor's loop is woken from other threads: messages, and a descriptor that its poll waits on.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing_core::{Delivery, SessionId, WakeId};
use homing_supervisor::DiskError;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::lock::MonitorLock;

/// What other threads tell the loop.
pub(super) enum Message {
    /// A sink has answered.
    Answered {
        wake: WakeId,
        session: SessionId,
        delivery: Delivery,
        acknowledge_within: Duration,
        took: Duration,
    },
    /// What was left of an attempt of an earlier monitor is gone.
    AnswerLost { wake: WakeId, session: SessionId },
    /// The session can take a wake now.
    SessionFree(SessionId),
    /// The lock is ours, or why it could not be waited for.
    Locked(Result<MonitorLock, DiskError>),
    /// Somebody wants it to stop.
    Stop,
}

/// Sends messages to a monitor.
#[derive(Clone)]
pub(super) struct MailboxSender {
    messages: Arc<Mutex<Sender<Message>>>,
    pipe: Arc<OwnedFd>,
}

/// Where a monitor receives them.
pub(super) struct Mailbox {
    messages: Receiver<Message>,
    readable: OwnedFd,
}

/// Makes a mailbox, and what sends to it.
///
/// # Errors
/// When the process has no descriptor left.
pub(super) fn mailbox() -> Result<(MailboxSender, Mailbox), Errno> {
    let (readable, pipe) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (messages, receiver) = channel();
    let sender = MailboxSender { messages: Arc::new(Mutex::new(messages)), pipe: Arc::new(pipe) };
    Ok((sender, Mailbox { messages: receiver, readable }))
}

impl MailboxSender {
    /// Leaves a message. Nobody may be there any more to read it.
    pub(super) fn send(&self, message: Message) {
        let sent = self.messages.lock().unwrap_or_else(PoisonError::into_inner).send(message);
        if sent.is_ok() {
            // A full pipe wakes the monitor already.
            let _ = rustix::io::write(&*self.pipe, b"!");
        }
    }
}

impl Mailbox {
    /// The messages that have come.
    pub(super) fn take(&self) -> Vec<Message> {
        // Empty the pipe before reading: what comes in between wakes the monitor again.
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
