//! Records what was observed of jobs: their states, their ends, and what follows for their follow-ups.

use homing_core::{FollowUpEvent, JobId, LostReason, Outcome, Recovery, StateName, Timestamp};
use homing_supervisor::{FinishedRecord, SpecFile};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Ledger;
use super::job_rows::Launch;
use super::rows::{column, from_json, state_name, to_json};
use super::transition::apply_event;
use super::wakes::retry_wake_of;
use crate::store::observe::{JobSnapshot, SupervisorLiveness};

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
            set_end(&transaction, seq, now_ms)?;
            apply_event(&transaction, seq, event)?;
        }
        transaction.commit()
    }
}

/// The known row of a job.
struct KnownJob {
    seq: i64,
    state: StateName,
    /// What recovery still has to do.
    recovery: Option<Recovery>,
    /// The end as a document.
    finished: Option<String>,
}

/// What a snapshot means for a known job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It adds nothing.
    Nothing,
    /// It is a later state.
    Progress,
    /// It differs from an end that was concluded before. The session is notified again.
    Correction,
}

/// The columns of a job that change during its life.
struct Columns {
    state: &'static str,
    ended_at: Option<i64>,
    started: Option<String>,
    finished: Option<String>,
    output_kept: u64,
    recovery: Option<&'static str>,
}

impl Columns {
    fn of(snapshot: &JobSnapshot) -> rusqlite::Result<Columns> {
        Ok(Columns {
            state: snapshot.state_name().as_str(),
            ended_at: snapshot.finished.as_ref().map(|finished| finished.end.ended_at_ms),
            started: snapshot.started.as_ref().map(to_json).transpose()?,
            finished: snapshot.finished.as_ref().map(to_json).transpose()?,
            output_kept: snapshot.output_kept,
            recovery: snapshot.recovery().map(Recovery::as_str),
        })
    }
}

fn record_one(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    if is_of_a_newer_program(transaction, snapshot)? {
        return Ok(());
    }
    let (seq, is_corrected) = match same_launch(transaction, snapshot)? {
        None => (insert(transaction, snapshot)?, false),
        Some(known) => {
            let change = change(&known, snapshot)?;
            match change {
                Change::Nothing => return Ok(()),
                // It was concluded to be lost, but it runs: it has not ended yet.
                Change::Correction if snapshot.finished.is_none() => reset_follow_up(transaction, known.seq)?,
                Change::Progress | Change::Correction => {}
            }
            update(transaction, known.seq, snapshot)?;
            (known.seq, change == Change::Correction)
        }
    };
    let Some(finished) = &snapshot.finished else { return Ok(()) };
    set_end(transaction, seq, finished.end.ended_at_ms)?;
    let event = FollowUpEvent::for_finished_job(snapshot.spec.follow_up, &finished.end.outcome);
    apply_event(transaction, seq, event)?;
    if is_corrected && event == FollowUpEvent::Due {
        apply_event(transaction, seq, FollowUpEvent::Retried)?;
        retry_wake_of(transaction, seq, Timestamp::from_unix_millis(finished.end.ended_at_ms))?;
    }
    Ok(())
}

fn change(known: &KnownJob, snapshot: &JobSnapshot) -> rusqlite::Result<Change> {
    Ok(match (known.state, known.recovery) {
        (StateName::Starting | StateName::Running, _) => Change::Progress,
        // A concluded end stays until recovery records it.
        (StateName::Finished, recovery) if recovery == snapshot.recovery() => Change::Nothing,
        (StateName::Finished, None) => Change::Nothing,
        // An observer with less information, such as another host, does not revert a conclusion.
        (StateName::Finished, Some(_))
            if snapshot.finished.is_none() && snapshot.supervisor != SupervisorLiveness::Alive =>
        {
            Change::Nothing
        }
        (StateName::Finished, Some(_)) if differs(known, snapshot)? => Change::Correction,
        (StateName::Finished, Some(_)) => Change::Progress,
    })
}

/// Whether the record, written later, differs from the end that was concluded before.
fn differs(known: &KnownJob, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let before: Option<FinishedRecord> =
        known.finished.as_deref().map(|text| from_json(5, text)).transpose()?;
    let outcome = |finished: &FinishedRecord| finished.end.outcome.clone();
    Ok(before.as_ref().map(outcome) != snapshot.finished.as_ref().map(outcome))
}

/// Adds a job and its follow-up. Returns its number.
fn insert(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<i64> {
    let (spec, columns) = (&snapshot.spec, Columns::of(snapshot)?);
    transaction
        .prepare_cached(
            "INSERT INTO jobs (id, session, state, ended_at, spec, started, finished, output_kept, recovery)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            spec.id.as_str(),
            spec.session.as_str(),
            columns.state,
            columns.ended_at,
            to_json(spec)?,
            columns.started,
            columns.finished,
            columns.output_kept,
            columns.recovery,
        ])?;
    let seq = transaction.last_insert_rowid();
    transaction
        .prepare_cached(
            "INSERT INTO follow_ups (job, session, state, sink, harness)
             VALUES (?1, ?2, 'waiting', ?3, ?4)",
        )?
        .execute(params![
            seq,
            spec.session.as_str(),
            column(spec.sink.as_ref()),
            column(spec.harness.as_ref()),
        ])?;
    Ok(seq)
}

fn update(transaction: &Transaction<'_>, seq: i64, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    let Columns { state, ended_at, started, finished, output_kept, recovery } = Columns::of(snapshot)?;
    transaction
        .prepare_cached(
            "UPDATE jobs SET state = ?2, ended_at = ?3, started = ?4, finished = ?5, output_kept = ?6,
                recovery = ?7
             WHERE seq = ?1",
        )?
        .execute(params![seq, state, ended_at, started, finished, output_kept, recovery])
        .map(drop)
}

/// Makes the follow-up of a job wait for its end again, unless it is suppressed.
fn reset_follow_up(transaction: &Transaction<'_>, seq: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE follow_ups SET state = 'waiting', wake = NULL
             WHERE job = ?1 AND state <> 'suppressed'",
        )?
        .execute([seq])
        .map(drop)
}

/// Whether the row of a job is in a state that only a newer program knows. Such a row is not changed.
fn is_of_a_newer_program(transaction: &Transaction<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let state: Option<String> = transaction
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([snapshot.spec.id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(state.is_some_and(|state| StateName::from_name(&state).is_none()))
}

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
            let known = KnownJob {
                seq: row.get(0)?,
                state: state_name(row, 1)?,
                recovery: recovery(row, 4)?,
                finished: row.get(5)?,
            };
            Ok((known, Launch::read(row, 2)? == Launch::of(spec)))
        })
        .optional()?;
    match known {
        Some((KnownJob { seq, .. }, false)) => {
            transaction.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
            Ok(None)
        }
        known => Ok(known.map(|(known, _)| known)),
    }
}

fn recovery(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Recovery>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| Recovery::from_name(&text)))
}

/// Gives the follow-up of a job its place in the order of delivery.
fn set_end(transaction: &Transaction<'_>, seq: i64, ended_at_ms: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE follow_ups SET ended_at = ?2 WHERE job = ?1")?
        .execute([seq, ended_at_ms])
        .map(drop)
}
