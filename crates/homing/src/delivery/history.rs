//! The history of wakes.

use homing_core::JobId;

use crate::Result;
use crate::context::Context;
use crate::ledger::WakeRecord;

impl Context {
    /// All kept wakes that contain a job, newest first.
    pub(crate) fn wakes_of(&self, job: JobId) -> Result<Vec<WakeRecord>> {
        self.get(job)?;
        self.with_ledger(|ledger| ledger.wakes_of(job))
    }
}
