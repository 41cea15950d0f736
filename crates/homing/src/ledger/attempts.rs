//! The attempts to deliver a wake: their times and results.

use homing_core::{Lease, Timestamp, WakeEvent};
use rusqlite::{Connection, params};

use super::rows::{CLAIMED, LEASE_EXPIRED, PRINTED};

/// Records the time and result of an attempt.
pub(super) fn record_attempt(
    connection: &Connection,
    (wake, number): (i64, u32),
    event: &WakeEvent,
    error: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let result = match event {
        WakeEvent::Started => return start_attempt(connection, (wake, number), None, now),
        WakeEvent::Leased(lease) => return start_attempt(connection, (wake, number), Some(lease), now),
        WakeEvent::Answered { delivery, .. } | WakeEvent::LeaseAnswered { delivery, .. } => delivery.as_str(),
        WakeEvent::Claimed { .. } => {
            start_attempt(connection, (wake, number), None, now)?;
            CLAIMED
        }
        WakeEvent::Printed { .. } => {
            start_attempt(connection, (wake, number), None, now)?;
            PRINTED
        }
        WakeEvent::LeaseExpired(_) => LEASE_EXPIRED,
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

/// Records the start of an attempt, by a sink, or by the holder of a lease.
pub(super) fn start_attempt(
    connection: &Connection,
    (wake, number): (i64, u32),
    lease: Option<&Lease>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempts (wake, number, started_at, lease, holder) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            wake,
            number,
            now.as_unix_millis(),
            lease.map(|lease| lease.id.to_string()),
            lease.map(|lease| &lease.holder),
        ])
        .map(drop)
}
