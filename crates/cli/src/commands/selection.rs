//! Finds the jobs that a command applies to: those that are named, or all of a kind.

use std::collections::HashSet;

use homing::{FollowUpOptions, Homing, JOB_VARIABLE, Job, JobId, ListOptions, SessionId, StateName};

use crate::exit::Failure;
use crate::open::{open_existing, open_for};
use crate::render::{print_json, say};
use crate::values::{Jobs, JobsOfSessions};

/// Which jobs `--all` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllOf {
    /// Those that have not finished. Not the job that the command runs in, which would wait for itself or end itself.
    Unfinished,
    /// Those of [`AllOf::Unfinished`], and those of [`AllOf::Undelivered`]: a job that has just finished counts.
    Awaited,
    /// Those that have finished and whose results are neither acknowledged nor dropped.
    Undelivered,
    /// Those that have finished and need no delivery.
    Settled,
}

/// The jobs that a command applies to; at least one.
pub(super) struct Selection {
    pub(super) homing: Homing,
    /// Each job once.
    pub(super) ids: Vec<JobId>,
    /// Whether JSON is an array even for one job: the caller asked for all jobs.
    pub(super) as_array: bool,
}

/// Finds the jobs; `None` if `--all` means none, which it reports.
pub(super) fn select(
    jobs: &Jobs,
    session: &SessionId,
    all: AllOf,
    as_json: bool,
) -> Result<Option<Selection>, Failure> {
    if jobs.all {
        return select_all(Some(session), all, as_json);
    }
    let Some(first) = jobs.jobs.first() else { return Ok(None) };
    let homing = open_for(first, session)?;
    let ids = homing.find_all(&jobs.jobs, session)?;
    Ok(Some(Selection { homing, ids, as_array: false }))
}

/// As [`select`]; `--all-sessions` means the jobs of all sessions.
pub(super) fn select_of_sessions(
    jobs: &JobsOfSessions,
    session: &SessionId,
    all: AllOf,
    as_json: bool,
) -> Result<Option<Selection>, Failure> {
    if jobs.all_sessions { select_all(None, all, as_json) } else { select(&jobs.jobs, session, all, as_json) }
}

fn select_all(session: Option<&SessionId>, all: AllOf, as_json: bool) -> Result<Option<Selection>, Failure> {
    if let Some(homing) = open_existing()? {
        let ids = ids_of(&homing, session, all)?;
        if !ids.is_empty() {
            return Ok(Some(Selection { homing, ids, as_array: true }));
        }
    }
    if as_json {
        print_json(&[(); 0])?;
    } else {
        let what = match all {
            AllOf::Unfinished | AllOf::Awaited => "no running jobs",
            AllOf::Undelivered => "no undelivered results",
            AllOf::Settled => "no jobs that may be deleted",
        };
        match session {
            Some(session) => say(&format!("{what} in session {session}")),
            None => say(what),
        }
    }
    Ok(None)
}

fn ids_of(homing: &Homing, session: Option<&SessionId>, all: AllOf) -> Result<Vec<JobId>, Failure> {
    let jobs = match all {
        AllOf::Unfinished => unfinished(homing, session)?,
        AllOf::Awaited => {
            let mut jobs = unfinished(homing, session)?;
            jobs.extend(undelivered(homing, session)?);
            jobs
        }
        AllOf::Undelivered => undelivered(homing, session)?,
        AllOf::Settled => {
            let mut jobs = in_state(homing, session, StateName::Finished)?;
            jobs.retain(|job| !job.follow_up.state.is_open());
            jobs
        }
    };
    // A job may change its state between two lists.
    let mut seen = HashSet::with_capacity(jobs.len());
    Ok(jobs.iter().map(|job| job.id).filter(|id| seen.insert(*id)).collect())
}

fn unfinished(homing: &Homing, session: Option<&SessionId>) -> homing::Result<Vec<Job>> {
    let mut jobs = in_state(homing, session, StateName::Starting)?;
    jobs.extend(in_state(homing, session, StateName::Running)?);
    let own = std::env::var(JOB_VARIABLE).ok().and_then(|id| id.parse::<JobId>().ok());
    jobs.retain(|job| Some(job.id) != own);
    Ok(jobs)
}

fn undelivered(homing: &Homing, session: Option<&SessionId>) -> homing::Result<Vec<Job>> {
    homing.follow_ups(&FollowUpOptions { session: session.cloned(), ..FollowUpOptions::default() })
}

fn in_state(homing: &Homing, session: Option<&SessionId>, state: StateName) -> homing::Result<Vec<Job>> {
    homing.list(&ListOptions { session: session.cloned(), state: Some(state), ..ListOptions::default() })
}
