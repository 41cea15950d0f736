//! Waiting for conditions: never for a guessed time.

use std::time::{Duration, Instant};

/// How long a condition has before its test fails. Long, because machines are slow and noisy; nobody waits for it
/// unless something is wrong.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold within [`WAIT_TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < give_up_at, "waited {WAIT_TIMEOUT:?} in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
