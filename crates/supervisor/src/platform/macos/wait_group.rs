//! Several things that a caller can wait for as one: a kqueue that contains their descriptors.
//!
//! A kqueue in a kqueue has a trap: when its events have been read, the outer one stays ready until its own events are read
//! (kqueue_kqfilter in the kernel's `kern_event.c`). An event loop would turn without end. So whatever reads events calls
//! [`settle_all`] afterwards.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::kqueue::{Filter, Kqueue};
use super::wait::WaitSource;

/// All groups of this process.
static GROUPS: Mutex<Vec<Weak<Kqueue>>> = Mutex::new(Vec::new());

/// Several things that a caller can wait for as one, such as an event loop that accepts one source. It is ready while
/// one of them can be read.
#[derive(Debug)]
pub struct WaitGroup {
    kqueue: Arc<Kqueue>,
}

impl WaitGroup {
    /// Creates a group. A member that is closed leaves the group.
    ///
    /// # Errors
    /// If this process or the user has no descriptor or watch left.
    pub fn of(members: &[WaitSource<'_>]) -> io::Result<WaitGroup> {
        let kqueue = Arc::new(Kqueue::new()?);
        for member in members {
            kqueue.add_level(Filter::readable(member.as_fd(), 0))?;
        }
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        groups.retain(|group| group.strong_count() > 0);
        groups.push(Arc::downgrade(&kqueue));
        Ok(WaitGroup { kqueue })
    }
}

impl AsFd for WaitGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

/// Makes each group not ready whose members are not ready any more. The events of the others are reported again, because
/// they report a state.
pub(super) fn settle_all() {
    let groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    for group in groups.iter().filter_map(Weak::upgrade) {
        group.next_events();
    }
}
