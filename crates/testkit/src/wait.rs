//! Waits for conditions instead of sleeping for a guessed time.

use std::time::{Duration, Instant};

/// How long to wait for a condition before the test fails. Long, because machines may be slow; only failing tests
/// wait this long.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(180);

/// Pause between two checks.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not hold within [`WAIT_TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < give_up_at, "waited {WAIT_TIMEOUT:?} in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
