//! The sessions, with the counts of their jobs.

use homing_core::{JobId, SessionId, Timestamp};

use super::Ledger;
use super::rows::parsed;

/// A session with the counts of its jobs: see [`Homing::sessions`](crate::Homing::sessions).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionSummary {
    /// The session.
    pub session: SessionId,
    /// Its jobs that are starting or running.
    pub running: u64,
    /// Its finished jobs that are kept.
    pub finished: u64,
    /// Its finished jobs whose follow-ups are open: pending, handed off or dead.
    pub open_follow_ups: u64,
    /// Those of them whose delivery was given up.
    pub dead: u64,
    /// When its newest job was launched, by the wall clock of the launch. `None` if a newer program wrote the job in a
    /// format that this one does not support.
    pub last_launch_at: Option<Timestamp>,
    /// Its newest job.
    pub newest_job: JobId,
}

impl Ledger {
    /// All sessions that have jobs, the one with the newest launch first.
    pub(crate) fn sessions(&self) -> rusqlite::Result<Vec<SessionSummary>> {
        // Each part reads one index: that of all jobs of the sessions, that of unfinished jobs, that of open follow-ups.
        // SQLite would read all jobs to find the unfinished ones in the order of their sessions, so their index is named.
        // Jobs in a state that only a newer program knows count as neither running nor finished.
        let mut query = self.connection.prepare_cached(
            "SELECT every.session, coalesce(unfinished.running, 0), every.jobs - coalesce(unfinished.jobs, 0),
                    coalesce(open.jobs, 0), coalesce(open.dead, 0), newest.spec ->> '$.created_at_ms', newest.id
             FROM (SELECT session, count(*) AS jobs, max(seq) AS newest FROM jobs GROUP BY session) AS every
             CROSS JOIN jobs AS newest ON newest.seq = every.newest
             LEFT JOIN (SELECT session, count(*) AS jobs, sum(state IN ('starting', 'running')) AS running
                        FROM jobs INDEXED BY jobs_unfinished WHERE state <> 'finished' GROUP BY session) AS unfinished
                 ON unfinished.session = every.session
             LEFT JOIN (SELECT session, count(*) AS jobs, sum(state = 'dead') AS dead
                        FROM follow_ups WHERE state IN ('pending', 'handed_off', 'dead') GROUP BY session) AS open
                 ON open.session = every.session
             ORDER BY every.newest DESC",
        )?;
        query
            .query_map([], |row| {
                let launched_at: Option<i64> = row.get(5).unwrap_or(None);
                Ok(SessionSummary {
                    session: parsed(row, 0)?,
                    running: row.get(1)?,
                    finished: row.get(2)?,
                    open_follow_ups: row.get(3)?,
                    dead: row.get(4)?,
                    last_launch_at: launched_at.map(Timestamp::from_unix_millis),
                    newest_job: parsed(row, 6)?,
                })
            })?
            .collect()
    }
}
