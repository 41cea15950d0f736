//! A job that the monitor could not read, and when it tries again.

use std::time::Instant;

/// A job that could not be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// When it could not be read for the first time.
    pub(super) since: Instant,
    pub(super) looks: u32,
    /// When it is tried again; `None` where that would not help.
    pub(super) next: Option<Instant>,
    pub(super) reason: String,
}

impl Unreadable {
    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        self.next.is_some()
    }
}
