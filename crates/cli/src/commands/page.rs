//! Limits lists, and reports omitted entries.

use homing::Job;

use crate::exit::note;
use crate::values::Limit;

/// The newest matching jobs.
pub(super) struct Page {
    /// Newest first.
    pub(super) jobs: Vec<Job>,
    has_more: bool,
}

impl Page {
    /// At most `limit` jobs from `list`, which is called with one more to learn whether there are more.
    pub(super) fn of(
        limit: Limit,
        list: impl FnOnce(Option<u32>) -> homing::Result<Vec<Job>>,
    ) -> homing::Result<Page> {
        let Limit(limit) = limit;
        let mut jobs = list(limit.map(|limit| limit.saturating_add(1)))?;
        let shown = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let has_more = jobs.len() > shown;
        jobs.truncate(shown);
        Ok(Page { jobs, has_more })
    }

    /// Reports omitted jobs on standard error.
    pub(super) fn note_omitted(&self) {
        if self.has_more {
            note(&format!("showing the newest {}; use --limit 0 to show all", self.jobs.len()));
        }
    }
}
