//! The history of wakes, for display.

use homing_core::{JobId, Timestamp, WakeState};
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use super::Ledger;
use super::rows::{json, parsed, timestamp};
use super::wake_record::{AttemptRecord, WakeRecord};

impl Ledger {
    /// All wakes that ever carried a job, newest first. Omits wakes in a state that only a newer program knows.
    pub(crate) fn wakes_of(&self, job: JobId) -> rusqlite::Result<Vec<WakeRecord>> {
        let mut query = self.connection.prepare_cached(
            "SELECT wakes.seq, wakes.id, wakes.session, wakes.sink, wakes.state, wakes.created_at, wakes.next_at,
                    wakes.last_error, wakes.job_ids, wakes.text
             FROM jobs JOIN wake_jobs ON wake_jobs.job = jobs.seq JOIN wakes ON wakes.seq = wake_jobs.wake
             WHERE jobs.id = ?1
               AND wakes.state IN ('scheduled', 'in_flight', 'handed_off', 'delivered', 'dead', 'superseded')
             ORDER BY wakes.seq DESC",
        )?;
        query.query_map([job.as_str()], |row| read_wake(&self.connection, row))?.collect()
    }
}

fn read_wake(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<WakeRecord> {
    let state: String = row.get(4)?;
    Ok(WakeRecord {
        id: parsed(row, 1)?,
        session: parsed(row, 2)?,
        sink: row.get(3)?,
        state: WakeState::from_name(&state).ok_or(rusqlite::Error::InvalidColumnType(
            4,
            state,
            Type::Text,
        ))?,
        created_at: timestamp(row, 5)?,
        next_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix_millis),
        last_error: row.get(7)?,
        jobs: json(row, 8)?,
        attempts: attempts(connection, row.get(0)?)?,
        text: row.get(9)?,
    })
}

fn attempts(connection: &Connection, wake: i64) -> rusqlite::Result<Vec<AttemptRecord>> {
    connection
        .prepare_cached(
            "SELECT number, started_at, ended_at, result, error FROM attempts WHERE wake = ?1 ORDER BY number",
        )?
        .query_map([wake], |row| {
            Ok(AttemptRecord {
                number: row.get(0)?,
                started_at: timestamp(row, 1)?,
                ended_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_unix_millis),
                result: row.get(3)?,
                error: row.get(4)?,
            })
        })?
        .collect()
}
