//! Reports unreadable jobs on standard error, so that no job is missing from a list silently.

use homing::{Homing, JobId};

use crate::render::{note, note_with_hint};

/// Maximum number of jobs to name.
const MAX_NAMED: usize = 5;

/// Reports the jobs that could not be read.
pub(super) fn note_unreadable(homing: &Homing) {
    note_unreadable_among(homing, |_| true);
}

/// Reports the unreadable jobs that `filter` accepts.
pub(super) fn note_unreadable_among(homing: &Homing, filter: impl Fn(JobId) -> bool) {
    let mut jobs = homing.unreadable_jobs();
    jobs.retain(|job| filter(job.id));
    for job in jobs.iter().take(MAX_NAMED) {
        let message = format!("job {} cannot be read: {}", job.id, job.reason);
        let hint = match job.may_pass {
            true => "the monitor tries again; run homing doctor to check all jobs",
            false => "homing does not change it; run homing doctor to check all jobs",
        };
        note_with_hint(&message, hint);
    }
    if let Some(more @ 1..) = jobs.len().checked_sub(MAX_NAMED) {
        note(&format!("{more} more jobs cannot be read"));
    }
}
