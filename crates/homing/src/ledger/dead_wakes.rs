//! Reads wakes that were given up, for alerts.

use homing_core::{JobId, SessionId, WakeId};
use rusqlite::OptionalExtension;

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
    /// Those of these wakes that are dead.
    pub(crate) fn dead_among(&self, wakes: &[WakeId]) -> rusqlite::Result<Vec<DeadWake>> {
        let mut dead = Vec::new();
        for wake in wakes {
            let mut query = self.connection.prepare_cached(
                "SELECT session, job_ids, last_error FROM wakes WHERE id = ?1 AND state = 'dead'",
            )?;
            let read = query.query_row([wake.to_string()], |row| {
                Ok(DeadWake { session: parsed(row, 0)?, jobs: json(row, 1)?, reason: row.get(2)? })
            });
            dead.extend(read.optional()?);
        }
        Ok(dead)
    }
}
