//! A queue of what other threads have noticed for the supervisor, which waits for it as for everything else.

use std::collections::VecDeque;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::sync::{Mutex, MutexGuard, PoisonError};

use homing_core::KilledBy;

use super::event::Event;

/// The meaning of an event to the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The main process of the job ended, or no process of the job is left.
    ChildEnded,
    /// A request to end the job.
    KillRequested(KilledBy),
    /// A file was created, removed or renamed in the watched directory.
    DirectoryChanged,
}

/// Events that other threads have noticed and the supervisor has not read.
#[derive(Debug)]
pub(super) struct Queue {
    pending: Mutex<VecDeque<Received>>,
    /// Set while something is pending.
    event: Event,
}

impl Queue {
    /// Creates an empty queue.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub(super) fn new() -> io::Result<Queue> {
        Ok(Queue { pending: Mutex::new(VecDeque::new()), event: Event::new()? })
    }

    /// Adds an event, unless the same one is pending.
    pub(super) fn push(&self, received: Received) {
        let mut pending = self.pending();
        if !pending.contains(&received) {
            pending.push_back(received);
        }
        self.event.set();
    }

    /// Takes the first event; `None` if none is pending.
    pub(super) fn pop(&self) -> Option<Received> {
        let mut pending = self.pending();
        let first = pending.pop_front();
        if pending.is_empty() {
            self.event.reset();
        }
        first
    }

    fn pending(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object that is signaled while something is pending.
impl AsHandle for Queue {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.event.as_handle()
    }
}
