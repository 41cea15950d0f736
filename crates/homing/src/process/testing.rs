//! Helpers for tests of sinks: wakes with unique ids, and a guard that ends their processes.

use homing_core::{Timestamp, Wake, WakeContent, WakeId};
use homing_supervisor::end_marked_processes;
use homing_supervisor::platform::random;

use super::stale::wake_mark;

/// A wake with a unique id.
pub(crate) fn wake(session: &str, text: &str) -> Wake {
    let now = Timestamp::from_unix_millis(1_795_345_200_123);
    Wake {
        id: WakeId::new(now, random::bytes().unwrap()),
        session: session.parse().unwrap(),
        attempt: 1,
        created_at: now,
        content: WakeContent::new(text.to_owned(), &[]),
    }
}

/// Ends all processes of a wake when dropped.
pub(crate) struct EndsAtDrop(pub(crate) WakeId);

impl Drop for EndsAtDrop {
    fn drop(&mut self) {
        end_marked_processes(&wake_mark(self.0));
    }
}
