//! Jobs that the monitor could not read: it tries again, ever more rarely, and says so once. A job that was written by a
//! newer version of this program, or whose files are damaged, is not tried again by itself: nothing that waiting cures.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use homing_core::JobId;
use homing_supervisor::DiskError;

use super::active::Active;
use super::unread_job::Unreadable;
use crate::index::unreadable::may_pass;

/// Before the second look; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Between two looks at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long trying again keeps an on-demand monitor from ending.
const TRIED_FOR: Duration = Duration::from_secs(86_400);

impl Active<'_> {
    /// Looks at these jobs again later, with a pause that grows, and forgets those that could be read meanwhile.
    pub(super) fn retry_unreadable(&mut self, failed: Vec<(JobId, DiskError)>) {
        let now = Instant::now();
        if !self.unreadable.is_empty() {
            let mut still: HashSet<JobId> =
                self.homing.unreadable_jobs().into_iter().map(|job| job.id).collect();
            still.extend(failed.iter().map(|(id, _)| *id));
            self.unreadable.retain(|id, _| still.contains(id));
        }
        for (id, error) in failed {
            let reason = error.to_string();
            let known = self.unreadable.get(&id);
            let (since, looks) = known.map_or((now, 0), |known| (known.since, known.looks));
            // Somebody else's entry in the inbox makes us look before it is time.
            let pending = known.and_then(|known| known.next).filter(|next| *next > now);
            let is_tried = may_pass(&error) && now.saturating_duration_since(since) < TRIED_FOR;
            let pause = FIRST_PAUSE * 2u32.saturating_pow(looks.min(16));
            let next = is_tried.then(|| pending.unwrap_or(now + pause.min(LONGEST_PAUSE)));
            if known.is_none_or(|known| known.reason != reason) {
                let then = if is_tried { "retrying" } else { "not retrying" };
                self.warn(&format!("job {id} cannot be read: {reason}; {then}"));
            }
            self.jobs.set(&id, next);
            let looks = if pending.is_some() { looks } else { looks + 1 };
            self.unreadable.insert(id, Unreadable { since, looks, next, reason });
        }
    }
}
