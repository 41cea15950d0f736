//! The history of wakes, for display.

use homing_core::{JobId, SessionId, Timestamp, WakeId, WakeState};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::rows::{LEASE, json, lease, named, parsed, timestamp};
use super::wake_record::{AttemptRecord, WakeRecord};

/// The columns of [`read_wake`].
const COLUMNS: &str =
    "wakes.seq, wakes.id, wakes.session, wakes.sink, wakes.state, wakes.created_at, wakes.next_at,
    wakes.last_error, wakes.job_ids, wakes.text";

/// How many wakes are searched for the newest one of a sink.
const SEARCHED_WAKES: i64 = 10_000;

impl Ledger {
    /// All wakes that ever carried a job, newest first. Omits wakes in a state that only a newer program knows.
    pub(crate) fn wakes_of(&self, job: JobId) -> rusqlite::Result<Vec<WakeRecord>> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, {LEASE}
             FROM jobs JOIN wake_jobs ON wake_jobs.job = jobs.seq JOIN wakes ON wakes.seq = wake_jobs.wake
             WHERE jobs.id = ?1
               AND wakes.state IN ('scheduled', 'in_flight', 'handed_off', 'delivered', 'dead', 'superseded')
             ORDER BY wakes.seq DESC",
        ))?;
        query.query_map([job.as_str()], |row| read_wake(&self.connection, row))?.collect()
    }

    /// One wake. `None` also for a wake in a state that only a newer program knows.
    pub(crate) fn wake(&self, id: WakeId) -> rusqlite::Result<Option<WakeRecord>> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, {LEASE} FROM wakes
             WHERE id = ?1
               AND state IN ('scheduled', 'in_flight', 'handed_off', 'delivered', 'dead', 'superseded')",
        ))?;
        query.query_row([id.to_string()], |row| read_wake(&self.connection, row)).optional()
    }

    /// The open and dead wakes that carry results which are still undelivered, of one session or of all, newest first; at
    /// most `limit`. With `since`, also the other ones that were created then or later.
    pub(crate) fn open_wakes(
        &self,
        session: Option<&SessionId>,
        since: Option<Timestamp>,
        limit: Option<u32>,
    ) -> rusqlite::Result<Vec<WakeRecord>> {
        // Wakes are created in the order of their numbers: the search for the newest older one ends soon.
        let before: Option<i64> = match since {
            None => None,
            Some(since) => {
                let mut query = self.connection.prepare_cached(
                    "SELECT seq FROM wakes WHERE created_at < ?1 ORDER BY seq DESC LIMIT 1",
                )?;
                let seq = query.query_row([since.as_unix_millis()], |row| row.get(0)).optional()?;
                Some(seq.unwrap_or(0))
            }
        };
        // Starts from the index of open follow-ups, whose condition the query repeats.
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, {LEASE} FROM wakes
             WHERE seq IN (SELECT wake FROM follow_ups
                     WHERE state IN ('pending', 'handed_off', 'dead') AND wake IS NOT NULL
                       AND (?1 IS NULL OR session = ?1)
                   UNION SELECT seq FROM wakes WHERE ?3 IS NOT NULL AND seq > ?3 AND (?1 IS NULL OR session = ?1))
               AND (state IN ('scheduled', 'in_flight', 'handed_off', 'dead')
                   OR (?3 IS NOT NULL AND seq > ?3 AND state IN ('delivered', 'superseded')))
             ORDER BY seq DESC LIMIT ?2",
        ))?;
        // SQLite treats a negative limit as no limit.
        let limit = limit.map_or(-1, i64::from);
        let session = session.map(SessionId::as_str);
        query.query_map(params![session, limit, before], |row| read_wake(&self.connection, row))?.collect()
    }

    /// The newest wake that a sink has received, among the newest 10,000 wakes of the home.
    pub(crate) fn last_wake_of(&self, sink: &str) -> rusqlite::Result<Option<WakeRecord>> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, {LEASE} FROM wakes
             WHERE seq > (SELECT coalesce(max(seq), 0) FROM wakes) - ?2
               AND sink = ?1
               AND state IN ('scheduled', 'in_flight', 'handed_off', 'delivered', 'dead', 'superseded')
               AND EXISTS (SELECT 1 FROM attempts WHERE attempts.wake = wakes.seq)
             ORDER BY seq DESC LIMIT 1",
        ))?;
        query.query_row(params![sink, SEARCHED_WAKES], |row| read_wake(&self.connection, row)).optional()
    }
}

fn read_wake(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<WakeRecord> {
    let state: String = row.get(4)?;
    Ok(WakeRecord {
        id: parsed(row, 1)?,
        session: parsed(row, 2)?,
        sink: named(row, 3)?,
        state: WakeState::from_name(&state).ok_or(rusqlite::Error::InvalidColumnType(
            4,
            state,
            Type::Text,
        ))?,
        created_at: timestamp(row, 5)?,
        next_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix_millis),
        last_error: row.get(7)?,
        jobs: json(row, 8)?,
        lease: lease(row, 10)?,
        attempts: attempts(connection, row.get(0)?)?,
        text: row.get(9)?,
    })
}

fn attempts(connection: &Connection, wake: i64) -> rusqlite::Result<Vec<AttemptRecord>> {
    connection
        .prepare_cached(
            "SELECT number, started_at, ended_at, result, error, holder FROM attempts WHERE wake = ?1
             ORDER BY number",
        )?
        .query_map([wake], |row| {
            Ok(AttemptRecord {
                number: row.get(0)?,
                started_at: timestamp(row, 1)?,
                ended_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_millis),
                result: row.get(3)?,
                error: row.get(4)?,
                holder: row.get(5)?,
            })
        })?
        .collect()
}
