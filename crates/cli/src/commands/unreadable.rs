//! Says on standard error which jobs could not be read, so that none is missing from a list without a word.

use homing::{Homing, JobId};

use crate::exit::{note, note_with_hint};

/// Most jobs that are named.
const MAX_NAMED: usize = 5;

/// Names the jobs that could not be read when they were last looked at.
pub(super) fn note_unreadable(homing: &Homing) {
    note_unreadable_among(homing, |_| true);
}

/// As [`note_unreadable`], for the jobs that `is_meant` says yes to.
pub(super) fn note_unreadable_among(homing: &Homing, is_meant: impl Fn(JobId) -> bool) {
    let mut jobs = homing.unreadable_jobs();
    jobs.retain(|job| is_meant(job.id));
    for job in jobs.iter().take(MAX_NAMED) {
        let message = format!("job {} cannot be read: {}", job.id, job.reason);
        match job.may_pass {
            true => note_with_hint(&message, "the monitor tries again; homing doctor looks at every job"),
            false => note_with_hint(&message, "it is left alone; homing doctor looks at every job"),
        }
    }
    if let Some(more @ 1..) = jobs.len().checked_sub(MAX_NAMED) {
        note(&format!("{more} more jobs cannot be read"));
    }
}
