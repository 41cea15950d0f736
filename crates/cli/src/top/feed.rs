//! Reads the jobs of the home again when they change. The only place that knows where changes are reported.

use std::collections::{HashMap, HashSet};

use homing::{
    EventOptions, EventWatch, Homing, Job, JobId, ListOptions, Listing, NotNotified, Origin, Prospect,
    Result, SessionId, StateName, WaitSource,
};

use super::entry::{Entry, Section, section_of};
use super::model::Jobs;

/// The most jobs of one kind that are read: the newest ones, running ones, and ones with an open follow-up.
const MAX_JOBS: u32 = 2_000;

/// Keeps the jobs of a session, or of all, up to date.
#[derive(Debug)]
pub(super) struct Feed {
    homing: Homing,
    session: Option<SessionId>,
    events: EventWatch,
    /// Whether the jobs must be read although no event says so: at first, and after an error.
    must_read: bool,
}

impl Feed {
    /// Begins to watch. Reads no jobs yet.
    ///
    /// # Errors
    /// If the home cannot be read, or the user has no watch left.
    pub(super) fn new(homing: &Homing, session: Option<SessionId>) -> Result<Feed> {
        // Events of monitors belong to no session, so those of all sessions are read.
        let events = homing.watch_events(EventOptions::default())?;
        Ok(Feed { homing: homing.clone(), session, events, must_read: true })
    }

    /// Ready when [`Feed::read`] may return jobs.
    pub(super) fn readable(&self) -> WaitSource<'_> {
        self.events.readable()
    }

    /// Reads the jobs, newest first. Returns `None` if nothing has happened since the last call.
    ///
    /// # Errors
    /// If the home or the ledger cannot be read. The next call reads the jobs.
    pub(super) fn read(&mut self) -> Result<Option<Jobs>> {
        // Events first: what happens after they are read makes this readable again.
        loop {
            let page = self.events.next_page()?;
            self.must_read |= page.truncated || !page.events.is_empty();
            if !page.has_more {
                break;
            }
        }
        if !self.must_read {
            return Ok(None);
        }
        let jobs = self.jobs()?;
        self.must_read = false;
        Ok(Some(jobs))
    }

    fn jobs(&self) -> Result<Jobs> {
        let options =
            ListOptions { session: self.session.clone(), limit: Some(MAX_JOBS), ..ListOptions::default() };
        let Listing { mut jobs, unsupported, has_more, .. } = self.homing.listing(&options)?;
        if has_more {
            self.add_older(&mut jobs)?;
        }
        let reasons = self.reasons(&jobs)?;
        let entries = jobs
            .into_iter()
            .map(|job| {
                let reason = reasons.get(&job.id).copied();
                Entry::new(job, reason)
            })
            .collect();
        Ok(Jobs { entries, has_more, unsupported: unsupported.len() })
    }

    /// Adds older jobs that still run, or whose results are undelivered.
    fn add_older(&self, jobs: &mut Vec<Job>) -> Result<()> {
        let mut known: HashSet<JobId> = jobs.iter().map(|job| job.id).collect();
        let unfinished = |state| {
            self.homing.list(&ListOptions {
                session: self.session.clone(),
                state: Some(state),
                limit: Some(MAX_JOBS),
                ..ListOptions::default()
            })
        };
        let mut older = unfinished(StateName::Running)?;
        older.extend(unfinished(StateName::Starting)?);
        older.extend(self.homing.follow_ups(&homing::FollowUpOptions {
            session: self.session.clone(),
            limit: Some(MAX_JOBS),
            ..homing::FollowUpOptions::default()
        })?);
        jobs.extend(older.into_iter().filter(|job| known.insert(job.id)));
        Ok(())
    }

    /// Why sessions are not notified of jobs that need attention, as far as the configuration and the monitor tell. A job
    /// that was tried already tells itself.
    fn reasons(&self, jobs: &[Job]) -> Result<HashMap<JobId, NotNotified>> {
        let mut reasons = HashMap::new();
        let waiting =
            jobs.iter().filter(|job| section_of(job) == Section::Attention && job.follow_up.attempts == 0);
        let mut waiting = waiting.peekable();
        if waiting.peek().is_none() {
            return Ok(reasons);
        }
        let has_monitor = self.homing.active_monitor()?.is_some();
        // Jobs of one origin with one sink have one answer.
        let mut answers = HashMap::new();
        for job in waiting {
            let key = (&job.session, &job.harness, &job.sink);
            let answer = match answers.get(&key) {
                Some(answer) => *answer,
                None => {
                    let answer = self.reason(job, has_monitor)?;
                    answers.insert(key, answer);
                    answer
                }
            };
            reasons.extend(answer.map(|reason| (job.id, reason)));
        }
        Ok(reasons)
    }

    fn reason(&self, job: &Job, has_monitor: bool) -> Result<Option<NotNotified>> {
        let reader = Origin { session: job.session.clone(), harness: job.harness.clone() };
        // Whether an open session is notified at once, or when it is closed, makes no difference here.
        Ok(match self.homing.prospect(job, &reader, || true)? {
            Prospect::NotNotified { reason } => Some(reason),
            // A monitor that starts on demand starts at the next launch.
            Prospect::Notified { .. } | Prospect::NotifiedOnceClosed { .. } if !has_monitor => {
                Some(NotNotified::NoMonitor)
            }
            Prospect::Notified { .. } | Prospect::NotifiedOnceClosed { .. } => None,
        })
    }
}
