//! Retries jobs that the monitor could not read, with growing pauses, and warns once. Does not retry a job that a
//! newer version of this program wrote, or whose files are damaged: waiting does not help.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use homing_core::JobId;
use homing_supervisor::DiskError;

use super::active::Active;
use super::unreadable_job::Unreadable;
use crate::store::unreadable::may_pass;

/// Pause before the first retry. It doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two retries.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// How long retries keep an on-demand monitor running.
const RETRIED_FOR: Duration = Duration::from_secs(86_400);

impl Active<'_> {
    /// Schedules retries for these jobs, with growing pauses, and removes jobs that became readable.
    pub(super) fn retry_unreadable(&mut self, failed: Vec<(JobId, DiskError)>) {
        let now = Instant::now();
        if !self.unreadable.is_empty() {
            let mut still: HashSet<JobId> =
                self.context.unreadable_jobs().into_iter().map(|job| job.id).collect();
            still.extend(failed.iter().map(|(id, _)| *id));
            self.unreadable.retain(|id, _| still.contains(id));
        }
        for (id, error) in failed {
            let reason = error.to_string();
            let known = self.unreadable.get(&id);
            let (since, attempts) = known.map_or((now, 0), |known| (known.since, known.attempts));
            // An inbox entry of another process may cause a check before the retry is due.
            let pending = known.and_then(|known| known.next).filter(|next| *next > now);
            let is_retried = may_pass(&error) && now.saturating_duration_since(since) < RETRIED_FOR;
            let pause = FIRST_PAUSE * 2u32.saturating_pow(attempts.min(16));
            let next = is_retried.then(|| pending.unwrap_or(now + pause.min(MAX_PAUSE)));
            if known.is_none_or(|known| known.reason != reason) {
                let next_step = if is_retried { "retrying" } else { "not retrying" };
                self.warn(&format!("job {id} cannot be read: {reason}; {next_step}"));
            }
            self.jobs.set(&id, next);
            let attempts = if pending.is_some() { attempts } else { attempts + 1 };
            self.unreadable.insert(id, Unreadable { since, attempts, next, reason });
        }
    }
}
