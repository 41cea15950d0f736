//! The changes that a watcher has not reported yet.

use std::ffi::OsString;
use std::io;
use std::os::windows::io::AsHandle;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::event::Event;
use super::super::wait::WaitSource;
use super::kinds::WatchId;

/// How many changes are kept. More of them are an overflow.
const LIMIT: usize = 16 << 10;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A watched file or directory, or this name in it, has changed.
    Changed { watch: WatchId, name: Option<OsString> },
    /// Changes were lost.
    Overflow,
}

/// A queue of changes, with an event that is set while it has some. Copies are the same queue.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    queue: Arc<Queue>,
}

#[derive(Debug)]
struct Queue {
    event: Event,
    changes: Mutex<Vec<Change>>,
}

impl Changes {
    pub(super) fn new() -> io::Result<Changes> {
        Ok(Changes { queue: Arc::new(Queue { event: Event::new()?, changes: Mutex::default() }) })
    }

    /// Adds a change, unless it is the same as the last one.
    pub(super) fn add(&self, change: Change) {
        let mut changes = self.queue.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() >= LIMIT {
            changes.clear();
            changes.push(Change::Overflow);
        } else if changes.last() != Some(&change) {
            changes.push(change);
        }
        // Under the lock, so that nobody takes the changes in between.
        self.queue.event.set();
    }

    /// Takes all changes.
    pub(super) fn take(&self) -> Vec<Change> {
        let mut changes = self.queue.changes.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.event.reset();
        std::mem::take(&mut *changes)
    }

    pub(super) fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource::from(self.queue.event.as_handle())
    }
}
