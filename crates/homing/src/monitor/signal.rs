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
pub(super) struct Bell {
    messages: Arc<Mutex<Sender<Message>>>,
    ring: Arc<OwnedFd>,
}

/// Where a monitor receives them.
pub(super) struct Mailbox {
    messages: Receiver<Message>,
    heard: OwnedFd,
}

/// A way to talk to a monitor.
///
/// # Errors
/// When the process has no descriptor left.
pub(super) fn mailbox() -> Result<(Bell, Mailbox), Errno> {
    let (heard, ring) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (sender, receiver) = channel();
    let bell = Bell { messages: Arc::new(Mutex::new(sender)), ring: Arc::new(ring) };
    Ok((bell, Mailbox { messages: receiver, heard }))
}

impl Bell {
    /// Leaves a message. Nobody may be there any more to read it.
    pub(super) fn send(&self, message: Message) {
        let sent = self.messages.lock().unwrap_or_else(PoisonError::into_inner).send(message);
        if sent.is_ok() {
            // A full pipe rings already.
            let _ = rustix::io::write(&*self.ring, b"!");
        }
    }
}

impl Mailbox {
    /// The messages that have come.
    pub(super) fn take(&self) -> Vec<Message> {
        // Silence the bell before reading: what comes in between rings again.
        let mut bytes = [0; 64];
        while rustix::io::read(&self.heard, &mut bytes).is_ok_and(|count| count > 0) {}
        self.messages.try_iter().collect()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.heard.as_fd()
    }
}
