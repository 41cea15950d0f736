//! Records what was observed of jobs: their states, their ends, and what follows for their follow-ups. Each change of a
//! job is one event.

use homing_core::{EventKind, FollowUpEvent, JobId, LostReason, Outcome, Recovery, StateName, Timestamp};
use homing_supervisor::{FinishedRecord, SpecFile};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::job_actors::{actor_of_end, actor_of_launch, actor_of_start};
use super::job_rows::Launch;
use super::rows::{column, from_json, state_name, to_json};
use super::transition::{apply_event, reset};
use super::wakes::retry_wake_of;
use super::writer::{NewEvent, Writer};
use crate::store::observe::{JobSnapshot, SupervisorLiveness};

impl Ledger {
    /// Records snapshots of jobs. Never reverts known state: a finished job stays finished, and its end counts once.
    pub(crate) fn record(&mut self, snapshots: &[JobSnapshot]) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        for snapshot in snapshots {
            record_one(&writer, snapshot)?;
        }
        writer.commit()?;
        self.note_highest()
    }

    /// Ends a job whose directory was removed before it finished.
    pub(crate) fn record_removed(&mut self, id: JobId, now_ms: i64) -> rusqlite::Result<()> {
        let writer = self.begin()?;
        let outcome = Outcome::Lost { reason: LostReason::Removed };
        let known = writer
            .prepare_cached("SELECT seq, spec FROM jobs WHERE id = ?1 AND state IN ('starting', 'running')")?
            .query_row([id.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, from_json::<SpecFile>(1, &row.get::<_, String>(1)?)?))
            })
            .optional()?;
        if let Some((seq, spec)) = known {
            let event = FollowUpEvent::for_finished_job(spec.follow_up, &outcome);
            let finished = to_json(&FinishedRecord::bare(outcome.clone(), now_ms))?;
            writer
                .prepare_cached(
                    "UPDATE jobs SET state = 'finished', ended_at = ?2, finished = ?3 WHERE seq = ?1",
                )?
                .execute(params![seq, now_ms, finished])?;
            set_end(&writer, seq, now_ms)?;
            let kind = EventKind::JobFinished { outcome };
            writer.record(&NewEvent {
                occurred_at_ms: Some(now_ms),
                ..NewEvent::of_job(kind, id.as_str(), spec.session.as_str())
            })?;
            apply_event(&writer, seq, event, None)?;
        }
        writer.commit()
    }
}

/// The known row of a job.
struct KnownJob {
    seq: i64,
    state: StateName,
    /// Whether its start is known.
    has_started: bool,
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

fn record_one(writer: &Writer<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    if is_of_a_newer_program(writer, snapshot)? {
        return Ok(());
    }
    let (seq, change) = match same_launch(writer, snapshot)? {
        None => (record_new(writer, snapshot)?, Change::Progress),
        Some(known) => {
            let change = change(&known, snapshot)?;
            if change == Change::Nothing {
                return Ok(());
            }
            record_change(writer, snapshot, &known, change)?;
            (known.seq, change)
        }
    };
    let Some(FinishedRecord { end, .. }) = &snapshot.finished else { return Ok(()) };
    set_end(writer, seq, end.ended_at_ms)?;
    let event = FollowUpEvent::for_finished_job(snapshot.spec.follow_up, &end.outcome);
    let ender = actor_of_end(snapshot);
    apply_event(writer, seq, event, ender.as_ref())?;
    if change == Change::Correction && event == FollowUpEvent::Due {
        apply_event(writer, seq, FollowUpEvent::Retried, ender.as_ref())?;
        let ended_at = Timestamp::from_unix_millis(end.ended_at_ms);
        retry_wake_of(writer, seq, ended_at, ender.as_ref())?;
    }
    Ok(())
}

/// Records a job that the ledger does not know. Returns its number.
fn record_new(writer: &Writer<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<i64> {
    let seq = insert(writer, snapshot)?;
    let launcher = actor_of_launch(&snapshot.spec);
    writer.record(&NewEvent {
        occurred_at_ms: Some(snapshot.spec.created_at_ms),
        actor: Some(&launcher),
        ..event_of(snapshot, EventKind::JobSeen)
    })?;
    record_start(writer, snapshot)?;
    if let Some(FinishedRecord { end, .. }) = &snapshot.finished {
        record_end(writer, snapshot, EventKind::JobFinished { outcome: end.outcome.clone() })?;
    }
    Ok(seq)
}

/// Records a change of a job that the ledger knows.
fn record_change(
    writer: &Writer<'_>,
    snapshot: &JobSnapshot,
    known: &KnownJob,
    change: Change,
) -> rusqlite::Result<()> {
    update(writer, known.seq, snapshot)?;
    if !known.has_started {
        record_start(writer, snapshot)?;
    }
    let outcome = snapshot.finished.as_ref().map(|finished| finished.end.outcome.clone());
    let runs = outcome.is_none();
    match (change, outcome) {
        (Change::Correction, outcome) => {
            record_end(writer, snapshot, EventKind::JobCorrected { outcome })?;
            // It was concluded to be lost, but it has not ended yet.
            if runs { reset(writer, known.seq, None) } else { Ok(()) }
        }
        (Change::Progress, Some(outcome)) if known.state != StateName::Finished => {
            record_end(writer, snapshot, EventKind::JobFinished { outcome })
        }
        // It started, or what was concluded before is recorded now.
        (Change::Progress | Change::Nothing, _) => Ok(()),
    }
}

fn event_of(snapshot: &JobSnapshot, kind: EventKind) -> NewEvent<'_> {
    NewEvent::of_job(kind, snapshot.spec.id.as_str(), snapshot.spec.session.as_str())
}

/// Records the start of a job, if it is known.
fn record_start(writer: &Writer<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    let Some(started) = &snapshot.started else { return Ok(()) };
    writer.record(&NewEvent {
        occurred_at_ms: Some(started.started_at_ms),
        actor: Some(&actor_of_start(started)),
        ..event_of(snapshot, EventKind::JobStarted)
    })
}

/// Records how a job ended.
fn record_end(writer: &Writer<'_>, snapshot: &JobSnapshot, kind: EventKind) -> rusqlite::Result<()> {
    writer.record(&NewEvent {
        occurred_at_ms: snapshot.finished.as_ref().map(|finished| finished.end.ended_at_ms),
        actor: actor_of_end(snapshot).as_ref(),
        ..event_of(snapshot, kind)
    })
}

fn change(known: &KnownJob, snapshot: &JobSnapshot) -> rusqlite::Result<Change> {
    Ok(match (known.state, known.recovery) {
        // It was observed before the start that the ledger knows.
        (StateName::Running, _) if snapshot.state_name() == StateName::Starting => Change::Nothing,
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
fn insert(connection: &Connection, snapshot: &JobSnapshot) -> rusqlite::Result<i64> {
    let (spec, columns) = (&snapshot.spec, Columns::of(snapshot)?);
    connection
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
    let seq = connection.last_insert_rowid();
    connection
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

fn update(connection: &Connection, seq: i64, snapshot: &JobSnapshot) -> rusqlite::Result<()> {
    let Columns { state, ended_at, started, finished, output_kept, recovery } = Columns::of(snapshot)?;
    connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, ended_at = ?3, started = ?4, finished = ?5, output_kept = ?6,
                recovery = ?7
             WHERE seq = ?1",
        )?
        .execute(params![seq, state, ended_at, started, finished, output_kept, recovery])
        .map(drop)
}

/// Whether the row of a job is in a state that only a newer program knows. Such a row is not changed.
fn is_of_a_newer_program(connection: &Connection, snapshot: &JobSnapshot) -> rusqlite::Result<bool> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([snapshot.spec.id.as_str()], |row| row.get(0))
        .optional()?;
    Ok(state.is_some_and(|state| StateName::from_name(&state).is_none()))
}

/// The known row of a job. A job with a key has the id of the previous job with that key, whose directory was pruned or
/// removed: the row of that job is replaced.
fn same_launch(writer: &Writer<'_>, snapshot: &JobSnapshot) -> rusqlite::Result<Option<KnownJob>> {
    let spec = &snapshot.spec;
    let known = writer
        .prepare_cached(
            "SELECT seq, state, json_extract(spec, '$.created_uptime_us'), json_extract(spec, '$.boot_id'),
                recovery, finished, started IS NOT NULL
             FROM jobs WHERE id = ?1",
        )?
        .query_row([spec.id.as_str()], |row| {
            let known = KnownJob {
                seq: row.get(0)?,
                state: state_name(row, 1)?,
                recovery: recovery(row, 4)?,
                finished: row.get(5)?,
                has_started: row.get(6)?,
            };
            Ok((known, Launch::read(row, 2)? == Launch::of(spec)))
        })
        .optional()?;
    match known {
        Some((KnownJob { seq, .. }, false)) => {
            writer.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
            // A key belongs to one session.
            let (id, session) = (spec.id.as_str(), spec.session.as_str());
            writer.record(&NewEvent::of_job(EventKind::JobRemoved, id, session))?;
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
fn set_end(connection: &Connection, seq: i64, ended_at_ms: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE follow_ups SET ended_at = ?2 WHERE job = ?1")?
        .execute([seq, ended_at_ms])
        .map(drop)
}
