//! A job that the monitor could not read, and the time of the next attempt.

use std::time::Instant;

/// An unreadable job.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The time of the first failure.
    pub(super) since: Instant,
    /// The number of failed attempts.
    pub(super) attempts: u32,
    /// The time of the next attempt; `None` if another attempt cannot help.
    pub(super) next: Option<Instant>,
    pub(super) reason: String,
}

impl Unreadable {
    /// Whether another attempt follows.
    pub(super) fn is_retried(&self) -> bool {
        self.next.is_some()
    }
}
