//! What the monitor asks the ledger: which sessions have to be told of what, and how far their wakes are.

use homing_core::{JobId, OpenWake, SessionId, Timestamp, WakeId};
use rusqlite::{Connection, params};

use super::Ledger;
use super::wakes::{PROGRESS, TAKEN, parsed, progress, timestamp};

/// A finished job that no wake carries yet.
#[derive(Clone, Debug)]
pub(crate) struct Untold {
    pub(crate) job: JobId,
    pub(crate) harness: Option<String>,
    pub(crate) sink: Option<String>,
}

/// What the ledger knows of one session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telling {
    /// Its wakes that are not over, oldest first.
    pub(crate) open: Vec<OpenWake>,
    /// Its finished jobs that no wake carries, oldest first.
    pub(crate) untold: Vec<Untold>,
    /// When its wakes since some time were made.
    pub(crate) made_at: Vec<Timestamp>,
    /// Why its untold jobs were said to wait, when they were last looked at.
    pub(crate) hold: Option<super::Hold>,
}

impl Ledger {
    /// The sessions that have wakes which are not over, or jobs that no wake carries.
    pub(crate) fn sessions_to_tell(&self) -> rusqlite::Result<Vec<SessionId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT session FROM wakes WHERE state IN ('scheduled', 'in_flight', 'handed_off')
             UNION
             SELECT session FROM follow_ups WHERE state = 'pending' AND wake IS NULL",
        )?;
        query.query_map([], |row| parsed(row, 0))?.collect()
    }

    /// The sessions of these jobs.
    pub(crate) fn sessions_of(&self, jobs: &[JobId]) -> rusqlite::Result<Vec<SessionId>> {
        let mut sessions = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut query = self.connection.prepare_cached("SELECT session FROM jobs WHERE id = ?1")?;
            let found: rusqlite::Result<Vec<SessionId>> =
                query.query_map([job.as_str()], |row| parsed(row, 0))?.collect();
            sessions.extend(found?);
        }
        sessions.sort_unstable();
        sessions.dedup();
        Ok(sessions)
    }

    /// What has to be known to tell a session; its wakes since `made_since` count.
    pub(crate) fn telling(&self, session: &SessionId, made_since: Timestamp) -> rusqlite::Result<Telling> {
        // All at one moment: what another process makes a wake of in between would be in neither list.
        let _moment = self.connection.unchecked_transaction()?;
        Ok(Telling {
            open: open_wakes(&self.connection, session)?,
            untold: untold(&self.connection, session)?,
            made_at: made_at(&self.connection, session, made_since)?,
            hold: hold(&self.connection, session)?,
        })
    }

    /// The wakes that a sink has not answered yet, and since when it has them.
    pub(crate) fn wakes_in_flight(&self) -> rusqlite::Result<Vec<(WakeId, SessionId, String, Timestamp)>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id, session, sink, since FROM wakes
             WHERE state IN ('scheduled', 'in_flight', 'handed_off') AND state = 'in_flight' ORDER BY seq",
        )?;
        query
            .query_map([], |row| Ok((parsed(row, 0)?, parsed(row, 1)?, row.get(2)?, timestamp(row, 3)?)))?
            .collect()
    }

    /// The wakes of a session that were taken to be shown from inside, and of which it is not known yet that the agent
    /// has them; oldest first.
    pub(crate) fn taken_wakes(&self, session: &SessionId) -> rusqlite::Result<Vec<WakeId>> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM wakes
             WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off') AND state = 'handed_off'
               AND EXISTS (SELECT 1 FROM follow_ups
                   WHERE follow_ups.wake = wakes.seq AND follow_ups.state = 'handed_off')
               AND EXISTS (SELECT 1 FROM attempts
                   WHERE attempts.wake = wakes.seq AND attempts.number = wakes.attempts AND attempts.result = ?2)
             ORDER BY seq",
        )?;
        query.query_map([session.as_str(), TAKEN], |row| parsed(row, 0))?.collect()
    }

    /// The jobs of a session that are not over, as far as the ledger knows.
    pub(crate) fn unfinished_of(&self, session: &SessionId) -> rusqlite::Result<Vec<JobId>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM jobs WHERE state <> 'finished' AND session = ?1 ORDER BY seq")?;
        query.query_map([session.as_str()], |row| parsed(row, 0))?.collect()
    }

    /// Whether any job is not over.
    pub(crate) fn has_unfinished_jobs(&self) -> rusqlite::Result<bool> {
        self.connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM jobs WHERE state <> 'finished')")?
            .query_row([], |row| row.get(0))
    }
}

fn open_wakes(connection: &Connection, session: &SessionId) -> rusqlite::Result<Vec<OpenWake>> {
    let sql = format!(
        "SELECT id, {PROGRESS}, NOT EXISTS (
             SELECT 1 FROM follow_ups WHERE follow_ups.wake = wakes.seq AND follow_ups.state IN ('pending', 'handed_off')
         ) FROM wakes
         WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off') ORDER BY seq"
    );
    connection
        .prepare_cached(&sql)?
        .query_map([session.as_str()], |row| {
            Ok(OpenWake { id: parsed(row, 0)?, progress: progress(row, 1)?, is_settled: row.get(7)? })
        })?
        .collect()
}

fn untold(connection: &Connection, session: &SessionId) -> rusqlite::Result<Vec<Untold>> {
    connection
        .prepare_cached(
            "SELECT jobs.id, jobs.spec ->> '$.harness', jobs.spec ->> '$.sink'
             FROM follow_ups CROSS JOIN jobs ON jobs.seq = follow_ups.job
             WHERE follow_ups.session = ?1 AND follow_ups.state = 'pending' AND follow_ups.wake IS NULL
             ORDER BY jobs.ended_at, jobs.seq",
        )?
        .query_map([session.as_str()], |row| {
            Ok(Untold { job: parsed(row, 0)?, harness: row.get(1)?, sink: row.get(2)? })
        })?
        .collect()
}

fn made_at(
    connection: &Connection,
    session: &SessionId,
    since: Timestamp,
) -> rusqlite::Result<Vec<Timestamp>> {
    connection
        .prepare_cached(
            "SELECT created_at FROM wakes WHERE session = ?1 AND created_at >= ?2 ORDER BY seq DESC LIMIT 1000",
        )?
        .query_map(params![session.as_str(), since.as_unix_millis()], |row| timestamp(row, 0))?
        .collect()
}

fn hold(connection: &Connection, session: &SessionId) -> rusqlite::Result<Option<super::Hold>> {
    use rusqlite::OptionalExtension;
    connection
        .prepare_cached("SELECT until, reason FROM held_sessions WHERE session = ?1")?
        .query_row([session.as_str()], |row| {
            let until: Option<i64> = row.get(0)?;
            Ok(super::Hold { until: until.map(Timestamp::from_unix_millis), reason: row.get(1)? })
        })
        .optional()
}
