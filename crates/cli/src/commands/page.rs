//! Lists are bounded, and say so where something was left out.

use homing::Job;

use crate::exit::note;
use crate::values::Limit;

/// The newest of the jobs that match.
pub(super) struct Page {
    /// Newest first.
    pub(super) jobs: Vec<Job>,
    there_are_more: bool,
}

impl Page {
    /// Takes at most `limit` of what `list` finds, which is asked for one more to know whether there are more.
    pub(super) fn of(
        limit: Limit,
        list: impl FnOnce(Option<u32>) -> homing::Result<Vec<Job>>,
    ) -> homing::Result<Page> {
        let Limit(limit) = limit;
        let mut jobs = list(limit.map(|limit| limit.saturating_add(1)))?;
        let shown = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let there_are_more = jobs.len() > shown;
        jobs.truncate(shown);
        Ok(Page { jobs, there_are_more })
    }

    /// Says on standard error that something was left out.
    pub(super) fn tell_of_more(&self) {
        if self.there_are_more {
            note(&format!("these are the newest {}; --limit 0 shows all", self.jobs.len()));
        }
    }
}
