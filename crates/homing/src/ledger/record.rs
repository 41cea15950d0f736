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
        Some((_, (StateName::Finished, Some(_)), before)) => differs(before.as_deref(), snapshot)?,
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
        set_end(transaction, seq, finished.end.ended_at_ms)?;
        let event = FollowUpEvent::for_finished_job(snapshot.spec.follow_up, &finished.end.outcome);
        apply_event(transaction, seq, event)?;
        if is_corrected && event == FollowUpEvent::Due {
            apply_event(transaction, seq, FollowUpEvent::Retried)?;
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
fn differs(before: Option<&str>, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let before: Option<FinishedRecord> = before.map(|text| from_json(3, text)).transpose()?;
    let outcome = |finished: &FinishedRecord| finished.end.outcome.clone();
    Ok(before.as_ref().map(outcome) != snapshot.finished.as_ref().map(outcome))
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
