//! Reports tests that cannot do their work on this machine.

use std::io::Write;

/// Reports why a test is skipped. Writes to standard error itself: the test runner captures what the macros print, and a
/// skipped test would look like one that passed.
pub fn skip(reason: &str) {
    let _ = std::io::stderr().lock().write_all(format!("skipped: {reason}\n").as_bytes());
}
