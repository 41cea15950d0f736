//! Finds the job that a person or a program refers to: the one rule for all front ends.

use std::collections::HashSet;

use homing_core::{JobId, JobIdPrefix, JobRef, SessionId};

use crate::context::Context;
use crate::{Error, Result};

/// The most candidates in the error for an ambiguous prefix.
const MAX_CANDIDATES: u32 = 10;

impl Context {
    /// Finds the only job whose id has this prefix.
    pub(crate) fn resolve(&self, prefix: &JobIdPrefix) -> Result<JobId> {
        if let Some(id) = prefix.as_full_id() {
            return self.find_full(id);
        }
        self.sync()?;
        self.find_known(prefix)
    }

    /// Finds the only job of a session whose id has this prefix. The error does not reveal jobs of other sessions.
    pub(crate) fn resolve_in(&self, prefix: &JobIdPrefix, session: &SessionId) -> Result<JobId> {
        if prefix.as_full_id().is_none() {
            self.sync()?;
        }
        let candidates = self.with_ledger(|ledger| {
            ledger.ids_of_session_beginning_with(session, prefix.as_str(), MAX_CANDIDATES)
        })?;
        match (&candidates[..], prefix.as_full_id()) {
            ([id], _) => Ok(*id),
            // A job that is not in the ledger yet is found on disk.
            ([], Some(id)) if self.get(id).is_ok_and(|job| job.session == *session) => Ok(id),
            ([], _) => Err(Error::NoSuchJob(prefix.as_str().to_owned())),
            _ => Err(Error::AmbiguousJob { prefix: prefix.as_str().to_owned(), candidates }),
        }
    }

    /// Finds the job that a reference means to a session.
    pub(crate) fn find(&self, reference: &JobRef, session: &SessionId) -> Result<JobId> {
        if full_id(reference).is_none() {
            self.sync()?;
        }
        self.find_synced(reference, session)
    }

    /// Finds several jobs with at most one sync. Returns each job once, in the order of the references.
    pub(crate) fn find_all(&self, references: &[JobRef], session: &SessionId) -> Result<Vec<JobId>> {
        if references.iter().any(|reference| full_id(reference).is_none()) {
            self.sync()?;
        }
        let mut seen = HashSet::with_capacity(references.len());
        let mut ids = Vec::with_capacity(references.len());
        for reference in references {
            let id = self.find_synced(reference, session)?;
            if seen.insert(id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Finds a job among those that were known at the last sync. A complete id is also looked for on disk.
    fn find_synced(&self, reference: &JobRef, session: &SessionId) -> Result<JobId> {
        let name = match reference {
            JobRef::Id(prefix) => {
                return match prefix.as_full_id() {
                    Some(id) => self.find_full(id),
                    None => self.find_known(prefix),
                };
            }
            JobRef::Last => None,
            JobRef::Name(name) => Some(name.as_str()),
        };
        let newest = self.with_ledger(|ledger| ledger.newest_of(session, name))?;
        newest.ok_or_else(|| Error::NoSuchJobInSession {
            reference: reference.clone(),
            session: session.clone(),
        })
    }

    fn find_full(&self, id: JobId) -> Result<JobId> {
        if self.exists(id)? { Ok(id) } else { Err(Error::NoSuchJob(id.to_string())) }
    }

    fn find_known(&self, prefix: &JobIdPrefix) -> Result<JobId> {
        let mut candidates =
            self.with_ledger(|ledger| ledger.ids_beginning_with(prefix.as_str(), MAX_CANDIDATES))?;
        match candidates.len() {
            0 => Err(Error::NoSuchJob(prefix.as_str().to_owned())),
            1 => Ok(candidates.remove(0)),
            _ => Err(Error::AmbiguousJob { prefix: prefix.as_str().to_owned(), candidates }),
        }
    }
}

fn full_id(reference: &JobRef) -> Option<JobId> {
    match reference {
        JobRef::Id(prefix) => prefix.as_full_id(),
        JobRef::Last | JobRef::Name(_) => None,
    }
}
