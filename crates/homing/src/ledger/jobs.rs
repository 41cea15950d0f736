//! The index of jobs: the last observed state of each, in launch order.

use homing_core::{
    FollowUp, FollowUpEvent, FollowUpState, Job, JobId, LostReason, Outcome, Recovery, SessionId, StateName,
    Timestamp,
};
use homing_supervisor::{FinishedRecord, SpecFile};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Ledger;
use super::rows::{UNFINISHED, column, from_json, optional_json, parsed, state, state_name, to_json};
use super::transition::move_on;
use super::wakes::retry_wake_of;
use crate::store::observe::{JobSnapshot, SupervisorLiveness};

/// The jobs to return.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobFilter {
    pub(crate) session: Option<SessionId>,
    pub(crate) state: Option<StateName>,
    /// The maximum number of jobs; `None` for all.
    pub(crate) limit: Option<u32>,
    pub(crate) follow_up: Option<FollowUpState>,
    /// Only jobs with an open follow-up: pending, handed off or dead.
    pub(crate) open_follow_ups: bool,
}

/// The wake that carries the follow-up has the attempts. Without a wake, the follow-up may be held.
const COLUMNS: &str = "jobs.spec, jobs.started, jobs.finished, jobs.output_kept, follow_ups.state,
    coalesce(wakes.attempts, 0), coalesce(wakes.next_at, holds.until), coalesce(wakes.last_error, holds.reason),
    jobs.id, follow_ups.expired_at, jobs.state";
const TABLES: &str = "jobs JOIN follow_ups ON follow_ups.job = jobs.seq";
const WITH_WAKES: &str = "LEFT JOIN wakes ON wakes.seq = follow_ups.wake
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

impl Ledger {
    /// Records snapshots of jobs. Never reverts known state: a finished job stays finished, and its end counts once.
    pub(crate) fn record(&mut self, snapshots: &[JobSnapshot]) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        for snapshot in snapshots {
            record_one(&transaction, snapshot)?;
        }
        transaction.commit()?;
        self.note_highest()
    }

    /// Ends a job whose directory was removed before it finished.
    pub(crate) fn record_removed(&mut self, id: JobId, now_ms: i64) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        let outcome = Outcome::Lost { reason: LostReason::Removed };
        let known = transaction
            .prepare_cached("SELECT seq, spec FROM jobs WHERE id = ?1 AND state IN ('starting', 'running')")?
            .query_row([id.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, from_json::<SpecFile>(1, &row.get::<_, String>(1)?)?))
            })
            .optional()?;
        if let Some((seq, spec)) = known {
            let event = FollowUpEvent::for_finished_job(spec.follow_up, &outcome);
            let finished = to_json(&FinishedRecord::bare(outcome, now_ms))?;
            transaction
                .prepare_cached(
                    "UPDATE jobs SET state = 'finished', ended_at = ?2, finished = ?3 WHERE seq = ?1",
                )?
                .execute(params![seq, now_ms, finished])?;
            ended(&transaction, seq, now_ms)?;
            move_on(&transaction, seq, event)?;
        }
        transaction.commit()
    }

    /// The jobs that are unfinished in the ledger, with their states.
    pub(crate) fn unfinished(&self) -> rusqlite::Result<Vec<(JobId, StateName)>> {
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT id, state FROM jobs WHERE {UNFINISHED} ORDER BY seq"))?;
        query.query_map([], |row| Ok((parsed(row, 0)?, state_name(row, 1)?)))?.collect()
    }

    /// The jobs among `ids` that are unfinished in the ledger or whose end is not recorded yet, with their states.
    pub(crate) fn unfinished_among(&self, ids: &[JobId]) -> rusqlite::Result<Vec<(JobId, StateName)>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let state = self
                .connection
                .prepare_cached(&format!(
                    "SELECT state FROM jobs WHERE id = ?1 AND ({UNFINISHED} OR recovery = 'not_recorded')"
                ))?
                .query_row([id.as_str()], |row| state_name(row, 0))
                .optional()?;
            found.extend(state.map(|state| (*id, state)));
        }
        Ok(found)
    }

    /// The jobs whose supervisor died and that recovery must still process, oldest first.
    pub(crate) fn needing_recovery(&self) -> rusqlite::Result<Vec<JobId>> {
        self.connection
            .prepare_cached("SELECT id FROM jobs WHERE recovery IS NOT NULL ORDER BY seq")?
            .query_map([], |row| parsed(row, 0))?
            .collect()
    }

    /// The ids of all jobs.
    pub(crate) fn all_ids(&self) -> rusqlite::Result<Vec<JobId>> {
        self.connection.prepare("SELECT id FROM jobs")?.query_map([], |row| parsed(row, 0))?.collect()
    }

    /// One job.
    pub(crate) fn job(&self, id: JobId) -> rusqlite::Result<Option<JobRow>> {
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} {WITH_WAKES} WHERE jobs.id = ?1");
        self.connection.prepare_cached(&sql)?.query_row([id.as_str()], read_job).optional()
    }

    /// Ids that begin with `prefix`, at most `limit` of them.
    pub(crate) fn ids_beginning_with(&self, prefix: &str, limit: u32) -> rusqlite::Result<Vec<JobId>> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM jobs WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
        // 'g' comes right after the last hexadecimal digit.
        let end = format!("{prefix}g");
        query.query_map(params![prefix, end, limit], |row| parsed(row, 0))?.collect()
    }

    /// The newest jobs that match, newest first.
    pub(crate) fn jobs(&self, filter: &JobFilter) -> rusqlite::Result<Vec<JobRow>> {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn rusqlite::ToSql>> = Vec::new();
        let mut condition = |text: &str, value: String| {
            values.push(Box::new(value));
            conditions.push(format!("{text} = ?{}", values.len()));
        };
        if let Some(session) = &filter.session {
            condition("jobs.session", session.as_str().to_owned());
        }
        if let Some(state) = filter.follow_up {
            condition("follow_ups.state", state.as_str().to_owned());
        }
        if let Some(state) = filter.state {
            condition("jobs.state", state.as_str().to_owned());
        }
        // The conditions repeat the text of the partial indexes. Otherwise SQLite does not use them.
        if matches!(filter.state, Some(StateName::Starting | StateName::Running)) {
            conditions.push("jobs.state <> 'finished'".to_owned());
        }
        let only_open = filter.open_follow_ups || filter.follow_up.is_some_and(is_indexed);
        if only_open {
            conditions.push("follow_ups.state IN ('pending', 'handed_off', 'dead')".to_owned());
        }
        // Start from the few open follow-ups if only these are wanted, else from the jobs in their order.
        let (tables, seq) = if only_open {
            ("follow_ups CROSS JOIN jobs ON follow_ups.job = jobs.seq", "follow_ups.job")
        } else {
            ("jobs CROSS JOIN follow_ups ON follow_ups.job = jobs.seq", "jobs.seq")
        };
        let conditions = conditions.join(" AND ");
        // SQLite treats a negative limit as no limit.
        let limit = filter.limit.map_or(-1, i64::from);
        let sql = format!(
            "SELECT {COLUMNS} FROM {tables} {WITH_WAKES} WHERE {conditions} ORDER BY {seq} DESC LIMIT {limit}"
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let values: Vec<&dyn rusqlite::ToSql> = values.iter().map(AsRef::as_ref).collect();
        query.query_map(&values[..], read_job)?.collect()
    }
}

/// A job that may be pruned.
#[derive(Clone, Debug)]
pub(crate) struct Prunable {
    pub(super) seq: i64,
    pub(super) ended_at: i64,
    pub(crate) id: JobId,
    pub(crate) launch: Launch,
}

impl Prunable {
    /// Its place in the order in which jobs are pruned.
    pub(crate) fn place(&self) -> (i64, i64) {
        (self.ended_at, self.seq)
    }
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

/// Whether follow-ups in this state are in the index of open ones.
fn is_indexed(state: FollowUpState) -> bool {
    match state {
        FollowUpState::Pending | FollowUpState::HandedOff | FollowUpState::Dead => true,
        FollowUpState::Waiting | FollowUpState::Acknowledged | FollowUpState::Suppressed => false,
    }
}

fn record_one(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    if is_of_a_newer_program(transaction, snapshot)? {
        return Ok(());
    }
    let known = same_launch(transaction, snapshot)?;
    let is_corrected = match &known {
        // A concluded end stays until recovery records it.
        Some((_, (StateName::Finished, known), _)) if *known == snapshot.recovery() => return Ok(()),
        Some((_, (StateName::Finished, None), _)) => return Ok(()),
        // An observer with less information, such as another host, does not revert a conclusion.
        Some((_, (StateName::Finished, Some(_)), _))
            if snapshot.finished.is_none() && snapshot.supervisor != SupervisorLiveness::Alive =>
        {
            return Ok(());
        }
        Some((_, (StateName::Finished, Some(_)), before)) => says_otherwise(before.as_deref(), snapshot)?,
        Some((_, (StateName::Starting | StateName::Running, _), _)) | None => false,
    };
    let started = snapshot.started.as_ref().map(to_json).transpose()?;
    let finished = snapshot.finished.as_ref().map(to_json).transpose()?;
    let ended_at = snapshot.finished.as_ref().map(|finished| finished.end.ended_at_ms);
    let state = snapshot.state_name().as_str();
    let recovery = snapshot.recovery().map(Recovery::as_str);
    let seq = match known {
        Some((seq, _, _)) => {
            if is_corrected && snapshot.finished.is_none() {
                // It was concluded to be lost, but it runs: it has not ended yet.
                transaction
                    .prepare_cached(
                        "UPDATE follow_ups SET state = 'waiting', wake = NULL
                         WHERE job = ?1 AND state <> 'suppressed'",
                    )?
                    .execute([seq])?;
            }
            transaction
                .prepare_cached(
                    "UPDATE jobs SET state = ?2, ended_at = ?3, started = ?4, finished = ?5, output_kept = ?6,
                        recovery = ?7
                     WHERE seq = ?1",
                )?
                .execute(params![seq, state, ended_at, started, finished, snapshot.output_kept, recovery])?;
            seq
        }
        None => {
            transaction
                .prepare_cached(
                    "INSERT INTO jobs (id, session, state, ended_at, spec, started, finished, output_kept, recovery)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    snapshot.spec.id.as_str(),
                    snapshot.spec.session.as_str(),
                    state,
                    ended_at,
                    to_json(&snapshot.spec)?,
                    started,
                    finished,
                    snapshot.output_kept,
                    recovery,
                ])?;
            let seq = transaction.last_insert_rowid();
            transaction
                .prepare_cached(
                    "INSERT INTO follow_ups (job, session, state, sink, harness)
                     VALUES (?1, ?2, 'waiting', ?3, ?4)",
                )?
                .execute(params![
                    seq,
                    snapshot.spec.session.as_str(),
                    column(snapshot.spec.sink.as_ref()),
                    column(snapshot.spec.harness.as_ref()),
                ])?;
            seq
        }
    };
    if let Some(finished) = &snapshot.finished {
        ended(transaction, seq, finished.end.ended_at_ms)?;
        let event = FollowUpEvent::for_finished_job(snapshot.spec.follow_up, &finished.end.outcome);
        move_on(transaction, seq, event)?;
        if is_corrected && event == FollowUpEvent::Due {
            move_on(transaction, seq, FollowUpEvent::Retried)?;
            retry_wake_of(transaction, seq, Timestamp::from_unix_millis(finished.end.ended_at_ms))?;
        }
    }
    Ok(())
}

/// Whether the row of a job is in a state that only a newer program knows. Such a row is not changed.
fn is_of_a_newer_program(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let state: Option<String> = transaction
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([snapshot.spec.id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(state.is_some_and(|state| StateName::from_name(&state).is_none()))
}

/// Place in the ledger, state with what recovery has to do, and the end as a document.
type KnownJob = (i64, (StateName, Option<Recovery>), Option<String>);

/// The known row of a job. A job with a key has the id of the previous job with that key, whose directory was pruned or
/// removed: the row of that job is replaced.
fn same_launch(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<Option<KnownJob>> {
    let spec = &snapshot.spec;
    let known = transaction
        .prepare_cached(
            "SELECT seq, state, json_extract(spec, '$.created_uptime_us'), json_extract(spec, '$.boot_id'),
                recovery, finished
             FROM jobs WHERE id = ?1",
        )?
        .query_row([spec.id.as_str()], |row| {
            let known = (row.get(0)?, (state_name(row, 1)?, recovery(row, 4)?), row.get(5)?);
            Ok((known, Launch::read(row, 2)? == Launch::of(spec)))
        })
        .optional()?;
    match known {
        Some(((seq, _, _), false)) => {
            transaction.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
            Ok(None)
        }
        known => Ok(known.map(|(known, _)| known)),
    }
}

/// Whether the record, written later, differs from the end that was concluded before. If so, the session is notified.
fn says_otherwise(before: Option<&str>, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let before: Option<FinishedRecord> = before.map(|text| from_json(3, text)).transpose()?;
    let outcome = |finished: &FinishedRecord| finished.end.outcome.clone();
    Ok(before.as_ref().map(outcome) != snapshot.finished.as_ref().map(outcome))
}

fn recovery(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Recovery>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| Recovery::from_name(&text)))
}

/// Gives the follow-up of a job its place in the order of delivery.
fn ended(transaction: &Transaction<'_>, seq: i64, ended_at_ms: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE follow_ups SET ended_at = ?2 WHERE job = ?1")?
        .execute([seq, ended_at_ms])
        .map(drop)
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
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
    if spec.schema != SpecFile::schema() {
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
