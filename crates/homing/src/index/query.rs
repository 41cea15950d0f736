//! Queries: the jobs of the ledger, brought up to date first.

use homing_core::{FollowUpState, Job, JobId, SessionId, StateName, Timestamp};

use crate::context::Context;
use crate::index::report::SyncReport;
use crate::ledger::{JobFilter, ListCursor, SessionSummary, UnsupportedJob};
use crate::{Error, Result};

/// Which jobs [`Homing::list`](crate::Homing::list) returns. The default is all jobs.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state.
    pub state: Option<StateName>,
    /// Only finished jobs that did not succeed.
    pub failed: bool,
    /// Only those that were launched at this time of the wall clock or later.
    pub since: Option<Timestamp>,
    /// Only those with exactly this name. Any text: it need not be a [`JobName`](homing_core::JobName).
    pub name: Option<String>,
    /// Only these jobs; empty for all. Ids without a job are left out.
    pub ids: Vec<JobId>,
    /// Only jobs that were launched before those of an earlier page: its [`Listing::next`].
    pub before: Option<ListCursor>,
    /// The maximum number of jobs; the newest ones are returned.
    pub limit: Option<u32>,
}

/// The result of [`Homing::listing`](crate::Homing::listing).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listing {
    /// The jobs that match, newest first.
    pub jobs: Vec<Job>,
    /// Jobs that a newer program wrote and whose known fields match.
    pub unsupported: Vec<UnsupportedJob>,
    /// Whether [`ListOptions::limit`] or [`FollowUpOptions::limit`] left out older jobs that match.
    pub has_more: bool,
    /// Where the next page begins: pass it as [`ListOptions::before`] or [`FollowUpOptions::before`]. `None` if no older
    /// jobs match.
    pub next: Option<ListCursor>,
}

/// Which follow-ups [`Homing::follow_ups`](crate::Homing::follow_ups) returns. The default is open ones: pending, handed off or dead.
#[derive(Clone, Debug, Default)]
pub struct FollowUpOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state, open or not.
    pub state: Option<FollowUpState>,
    /// Only those of jobs that were launched before those of an earlier page: its [`Listing::next`].
    pub before: Option<ListCursor>,
    /// The maximum number of jobs; the newest ones are returned.
    pub limit: Option<u32>,
}

impl Context {
    pub(crate) fn exists(&self, id: JobId) -> Result<bool> {
        if self.store.home.jobs.contains(id.as_str()) {
            return Ok(true);
        }
        Ok(self.with_ledger(|ledger| ledger.job(id))?.is_some())
    }

    /// Returns the current state of a job.
    pub(crate) fn get(&self, id: JobId) -> Result<Job> {
        refuse_unsupported(self.sync()?, &[id])?;
        self.known(id)
    }

    /// Returns the current state of several jobs with one sync, in the order of `ids`.
    pub(crate) fn get_all(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        refuse_unsupported(self.sync()?, ids)?;
        ids.iter().map(|id| self.known(*id)).collect()
    }

    /// A job as it was at the last sync.
    fn known(&self, id: JobId) -> Result<Job> {
        let mut job = self.with_ledger(|ledger| ledger.job(id))?;
        if job.is_none() {
            // Its directory may exist even so, if its inbox entry was lost.
            self.sync_jobs(&[id])?;
            job = self.with_ledger(|ledger| ledger.job(id))?;
        }
        let job = job.ok_or_else(|| self.missing(id))?;
        let mut job = job.map_err(|UnsupportedJob { id, reason }| Error::Unsupported { job: id, reason })?;
        self.store.measure_output(&mut job);
        Ok(job)
    }

    /// Why a job is not in the ledger after it was observed.
    fn missing(&self, id: JobId) -> Error {
        match self.unreadable_jobs().into_iter().find(|job| job.id == id) {
            Some(job) => Error::JobUnreadable { job: id, reason: job.reason },
            None => Error::NoSuchJob(id.to_string()),
        }
    }

    /// The jobs that match, newest first.
    pub(crate) fn listing(&self, options: &ListOptions) -> Result<Listing> {
        let options = options.clone();
        self.jobs(JobFilter {
            ids: Some(options.ids).filter(|ids| !ids.is_empty()),
            before: options.before,
            session: options.session,
            state: options.state,
            failed: options.failed,
            since_ms: options.since.map(Timestamp::as_unix_millis),
            name: options.name,
            limit: options.limit,
            ..JobFilter::default()
        })
    }

    /// The jobs whose follow-ups match, newest first.
    pub(crate) fn follow_up_listing(&self, options: &FollowUpOptions) -> Result<Listing> {
        let options = options.clone();
        self.jobs(JobFilter {
            session: options.session,
            before: options.before,
            follow_up: options.state,
            open_follow_ups: options.state.is_none(),
            limit: options.limit,
            ..JobFilter::default()
        })
    }

    /// The sessions that have jobs, the one with the newest launch first.
    pub(crate) fn sessions(&self) -> Result<Vec<SessionSummary>> {
        self.sync()?;
        self.with_ledger(|ledger| ledger.sessions())
    }

    fn jobs(&self, mut filter: JobFilter) -> Result<Listing> {
        self.sync()?;
        let limit = filter.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        // Request one more job, to find out whether the limit leaves out jobs.
        filter.limit = filter.limit.map(|limit| limit.saturating_add(1));
        let mut rows = self.with_ledger(|ledger| ledger.jobs(&filter))?;
        let mut listing = Listing { has_more: rows.len() > limit, ..Listing::default() };
        rows.truncate(limit);
        if listing.has_more {
            listing.next = rows.last().map(|(place, _)| place.clone());
        }
        for (_, row) in rows {
            match row {
                Ok(mut job) => {
                    self.store.measure_output(&mut job);
                    listing.jobs.push(job);
                }
                Err(unsupported) => listing.unsupported.push(unsupported),
            }
        }
        Ok(listing)
    }
}

/// Fails if a newer program wrote one of these jobs, because the ledger's row for it is out of date.
fn refuse_unsupported(report: SyncReport, ids: &[JobId]) -> Result<()> {
    let mut unreadable = report.unreadable.into_iter();
    match unreadable.find(|(id, error)| ids.contains(id) && error.is_unsupported()) {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}
