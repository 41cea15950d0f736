//! Reads wakes that were given up, for alerts.

use homing_core::{JobId, SessionId};

use super::Ledger;
use super::rows::{json, parsed};

/// A wake that was given up.
#[derive(Clone, Debug)]
pub(crate) struct DeadWake {
    pub(crate) session: SessionId,
    pub(crate) jobs: Vec<JobId>,
    /// Why its last attempt failed. Output of a harness: untrusted.
    pub(crate) reason: Option<String>,
}

impl Ledger {
    /// Takes the wakes that were given up, by whichever process, since the last call; oldest first. No later call returns
    /// them again.
    pub(crate) fn take_dead_wakes(&mut self) -> rusqlite::Result<Vec<DeadWake>> {
        // Without such wakes, nothing is written.
        if !self.connection.prepare_cached("SELECT 1 FROM wakes WHERE unannounced <> 0")?.exists([])? {
            return Ok(Vec::new());
        }
        let transaction = self.begin()?;
        let dead = transaction
            .prepare_cached(
                "SELECT session, job_ids, last_error FROM wakes WHERE unannounced <> 0 AND state = 'dead' ORDER BY seq",
            )?
            .query_map([], |row| {
                Ok(DeadWake { session: parsed(row, 0)?, jobs: json(row, 1)?, reason: row.get(2)? })
            })?
            .collect::<rusqlite::Result<Vec<DeadWake>>>()?;
        transaction.execute("UPDATE wakes SET unannounced = 0 WHERE unannounced <> 0", [])?;
        transaction.commit()?;
        Ok(dead)
    }
}
