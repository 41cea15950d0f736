//! What the tests of sinks share: wakes that no other test has, and an end to everything that was started for them.

use homing_core::{Timestamp, Wake, WakeContent, WakeId};
use homing_supervisor::end_marked_processes;

use super::stale::carried;

/// A wake with an id of its own.
pub(crate) fn wake(session: &str, text: &str) -> Wake {
    let mut random = [0; 10];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).unwrap();
    let now = Timestamp::from_unix_millis(1_795_345_200_123);
    Wake {
        id: WakeId::new(now, random),
        session: session.parse().unwrap(),
        attempt: 1,
        created_at: now,
        content: WakeContent::new(text.to_owned(), &[]),
    }
}

/// Ends what was started for a wake, however the test ends.
pub(crate) struct EndsAtDrop(pub(crate) WakeId);

impl Drop for EndsAtDrop {
    fn drop(&mut self) {
        end_marked_processes(&carried(self.0));
    }
}
