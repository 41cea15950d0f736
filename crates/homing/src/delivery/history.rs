//! Wakes for display: the history of a job, one wake, and the wakes that need attention.

use homing_core::{JobId, SessionId, Timestamp, WakeId};

use crate::context::Context;
use crate::ledger::WakeRecord;
use crate::{Error, Result};

/// Which wakes [`Homing::open_wakes`](crate::Homing::open_wakes) returns. The default is those of all sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WakeOptions {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Also the wakes that are closed and were created at this time of the wall clock or later.
    pub since: Option<Timestamp>,
    /// The maximum number of wakes; the newest ones are returned.
    pub limit: Option<u32>,
}

/// The result of [`Homing::open_wakes`](crate::Homing::open_wakes).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WakeListing {
    /// The wakes, newest first.
    pub wakes: Vec<WakeRecord>,
    /// Whether [`WakeOptions::limit`] left out older wakes.
    pub has_more: bool,
}

impl Context {
    /// All kept wakes that contain a job, newest first.
    pub(crate) fn wakes_of(&self, job: JobId) -> Result<Vec<WakeRecord>> {
        self.get(job)?;
        self.with_ledger(|ledger| ledger.wakes_of(job))
    }

    /// One wake.
    pub(crate) fn wake(&self, id: WakeId) -> Result<WakeRecord> {
        self.with_ledger(|ledger| ledger.wake(id))?.ok_or(Error::NoSuchWake(id))
    }

    /// The newest wake that a sink has received.
    pub(crate) fn last_wake_of(&self, sink: &str) -> Result<Option<WakeRecord>> {
        self.with_ledger(|ledger| ledger.last_wake_of(sink))
    }

    /// The open and dead wakes whose results are still undelivered, and others if the options ask for them.
    pub(crate) fn open_wakes(&self, options: &WakeOptions) -> Result<WakeListing> {
        self.sync()?;
        let limit = options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        // Request one more wake, to find out whether the limit leaves out wakes.
        let requested = options.limit.map(|limit| limit.saturating_add(1));
        let mut wakes =
            self.with_ledger(|ledger| ledger.open_wakes(options.session.as_ref(), options.since, requested))?;
        let has_more = wakes.len() > limit;
        wakes.truncate(limit);
        Ok(WakeListing { wakes, has_more })
    }
}
