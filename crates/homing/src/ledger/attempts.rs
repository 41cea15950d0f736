//! The attempts to deliver a wake: their times and results.

use homing_core::{Timestamp, WakeEvent};
use rusqlite::{Connection, params};

use super::rows::{CLAIMED, PRINTED};

/// Records the time and result of an attempt.
pub(super) fn record_attempt(
    connection: &Connection,
    (wake, number): (i64, u32),
    event: &WakeEvent,
    error: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let result = match event {
        WakeEvent::Started => return start_attempt(connection, wake, number, now),
        WakeEvent::Answered { delivery, .. } => delivery.as_str(),
        WakeEvent::Claimed { .. } => {
            start_attempt(connection, wake, number, now)?;
            CLAIMED
        }
        WakeEvent::Printed { .. } => {
            start_attempt(connection, wake, number, now)?;
            PRINTED
        }
        WakeEvent::AnswerLost => "answer_lost",
        // The attempt has already been answered.
        WakeEvent::Confirmed
        | WakeEvent::NotAcknowledged
        | WakeEvent::Superseded
        | WakeEvent::RetriedNow { .. } => return Ok(()),
    };
    connection
        .prepare_cached(
            "UPDATE attempts SET ended_at = ?3, result = ?4, error = ?5 WHERE wake = ?1 AND number = ?2",
        )?
        .execute(params![wake, number, now.as_unix_millis(), result, error])
        .map(drop)
}

/// Records the start of an attempt.
pub(super) fn start_attempt(
    connection: &Connection,
    seq: i64,
    number: u32,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO attempts (wake, number, started_at) VALUES (?1, ?2, ?3)")?
        .execute(params![seq, number, now.as_unix_millis()])
        .map(drop)
}
