//! Reads rows of jobs. Changes no table.

use homing_core::{FollowUp, Job, JobId, Timestamp};
use homing_supervisor::SpecFile;
use rusqlite::Row;
use rusqlite::types::Type;

use super::rows::{from_json, optional_json, parsed, state, state_name};
use crate::store::observe::{JobSnapshot, SupervisorLiveness};

/// The columns of [`read_job`]. The wake that carries the follow-up has the attempts. Without a wake, the follow-up may be
/// held.
pub(super) const COLUMNS: &str = "jobs.spec, jobs.started, jobs.finished, jobs.output_kept, follow_ups.state,
    coalesce(wakes.attempts, 0), coalesce(wakes.next_at, holds.until), coalesce(wakes.last_error, holds.reason),
    jobs.id, follow_ups.expired_at, jobs.state";
/// The tables of the job and its follow-up.
pub(super) const TABLES: &str = "jobs JOIN follow_ups ON follow_ups.job = jobs.seq";
/// Adds the wake, or the hold, of the follow-up.
pub(super) const WITH_WAKES: &str = "LEFT JOIN wakes ON wakes.seq = follow_ups.wake
    LEFT JOIN holds ON follow_ups.wake IS NULL AND follow_ups.state = 'pending'
        AND holds.session = follow_ups.session AND holds.sink = follow_ups.sink
        AND holds.harness = follow_ups.harness";

/// A row of the index: a job, or an unsupported row.
pub(crate) type JobRow = Result<Job, UnsupportedJob>;

/// A job that a newer program wrote in a format that this one does not support. It is listed and never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedJob {
    /// Its id.
    pub id: JobId,
    /// What is not supported.
    pub reason: String,
}

/// Distinguishes launches with the same key, which have the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    created_uptime_us: u64,
    boot_id: String,
}

impl Launch {
    pub(crate) fn of(spec: &SpecFile) -> Launch {
        Launch { created_uptime_us: spec.created_uptime_us, boot_id: spec.boot_id.clone() }
    }

    /// From two columns.
    pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Launch> {
        // The spec of a newer program may lack both. Then the row is not a launch that this program knows.
        let created: Option<u64> = row.get(first)?;
        let boot_id: Option<String> = row.get(first + 1)?;
        Ok(Launch { created_uptime_us: created.unwrap_or(0), boot_id: boot_id.unwrap_or_default() })
    }
}

/// Reads a row with [`COLUMNS`].
pub(super) fn read_job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType};
    let reason = match read_supported(row) {
        Err(InvalidColumnType(_, state, _)) => format!("its state is {state:?}"),
        Err(FromSqlConversionFailure(_, _, error)) => error.to_string(),
        read => return read.map(Ok),
    };
    Ok(Err(UnsupportedJob { id: parsed(row, 8)?, reason }))
}

/// Reads a row that this program supports completely.
fn read_supported(row: &Row<'_>) -> rusqlite::Result<Job> {
    let spec: SpecFile = from_json(0, &row.get::<_, String>(0)?)?;
    if !spec.is_supported() {
        return Err(unsupported(0, format!("its spec is {:?}", spec.schema)));
    }
    let snapshot = JobSnapshot {
        spec,
        started: optional_json(row, 1)?,
        finished: optional_json(row, 2)?,
        output_kept: row.get(3)?,
        // The ledger does not know whether the supervisor is alive.
        supervisor: SupervisorLiveness::Alive,
    };
    // The documents agree, unless a newer program has more states.
    state_name(row, 10)?;
    let expired_at: Option<i64> = row.get(9)?;
    let follow_up = FollowUp {
        state: state(row, 4)?,
        attempts: row.get(5)?,
        next_attempt_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix_millis),
        last_error: match expired_at.map(Timestamp::from_unix_millis) {
            Some(at) => Some(format!("expired at {at}: undelivered for too long (retention.undelivered)")),
            None => row.get(7)?,
        },
    };
    Ok(Job { follow_up, ..snapshot.into_job() })
}

/// A document that a newer program wrote.
fn unsupported(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
