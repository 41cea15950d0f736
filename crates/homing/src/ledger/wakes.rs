//! Wakes in the ledger. A wake is created once; then transitions of the core change it and the follow-ups that it
//! carries. Each change of a wake is one event.

use std::collections::BTreeMap;

use homing_core::{
    Actor, EventKind, FollowUpEvent, RetryPolicy, SessionId, Timestamp, Wake, WakeContent, WakeEvent, WakeId,
    WakeProgress, WakeState,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::attempts::{record_attempt, start_attempt};
use super::hold::{Hold, RouteKey, set_holds};
use super::rows::{PROGRESS, column, json, named, parsed, progress, timestamp, to_json};
use super::transition::apply_event;
use super::writer::{NewEvent, Writer};

/// One change of wakes. Several are made in one transaction.
#[derive(Debug)]
pub(crate) enum WakeChange {
    /// An event of a wake.
    Moved(WakeId, WakeEvent),
    /// Creates a wake that is in flight at once.
    Made(Box<NewWake>),
    /// Creates a wake that no sink has received.
    Queued(Box<NewWake>),
    /// Sets why undelivered follow-ups of a session wait, by route. Removes the holds of all other routes.
    Held(SessionId, BTreeMap<RouteKey, Hold>),
    /// Closes a wake for this reason, and routes its follow-ups anew.
    Rerouted(WakeId, String),
    /// A route leads from a scheduled wake without a sink to this one.
    SinkFound(WakeId, String),
}

/// A wake to create.
#[derive(Debug)]
pub(crate) struct NewWake {
    pub(crate) wake: Wake,
    /// The sink that delivers it; without one, only a claim does.
    pub(crate) sink: Option<String>,
}

/// The context of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChangeContext<'a> {
    pub(crate) policy: &'a RetryPolicy,
    pub(crate) now: Timestamp,
    /// Between 0 and 1.
    pub(crate) jitter: f64,
}

impl Ledger {
    /// Applies changes in one transaction. Returns for each whether it was applied. A wake is not created if one of its
    /// jobs was acknowledged meanwhile.
    pub(crate) fn change_wakes(
        &mut self,
        changes: &[WakeChange],
        context: &ChangeContext<'_>,
    ) -> rusqlite::Result<Vec<bool>> {
        let writer = self.begin()?;
        let mut made = Vec::with_capacity(changes.len());
        for change in changes {
            made.push(match change {
                WakeChange::Moved(id, event) => move_wake(&writer, *id, event, context, None)?,
                WakeChange::Made(new) => make_wake(&writer, new, WakeState::InFlight, context.now)?,
                WakeChange::Queued(new) => make_wake(&writer, new, WakeState::Scheduled, context.now)?,
                WakeChange::Held(session, holds) => {
                    set_holds(&writer, session, holds)?;
                    true
                }
                WakeChange::Rerouted(id, reason) => supersede(&writer, *id, reason, context)?,
                WakeChange::SinkFound(id, sink) => set_sink(&writer, *id, sink)?,
            });
        }
        writer.commit()?;
        Ok(made)
    }

    /// The wake with this id as its next attempt delivers it, and its sink.
    pub(crate) fn wake_to_send(&self, id: WakeId) -> rusqlite::Result<Option<(Wake, Option<String>)>> {
        self.connection
            .prepare_cached(
                "SELECT session, attempts, created_at, text, job_ids, jobs, sink FROM wakes WHERE id = ?1",
            )?
            .query_row([id.to_string()], |row| {
                let wake = Wake {
                    id,
                    session: parsed(row, 0)?,
                    attempt: row.get::<_, u32>(1)? + 1,
                    created_at: timestamp(row, 2)?,
                    content: WakeContent { text: row.get(3)?, job_ids: json(row, 4)?, jobs: json(row, 5)? },
                };
                Ok((wake, named(row, 6)?))
            })
            .optional()
    }
}

/// The columns of [`FoundWake`].
const FOUND: &str = "wakes.seq, wakes.id, wakes.session, wakes.sink";

/// A wake before a change.
struct FoundWake {
    seq: i64,
    id: String,
    session: String,
    /// `None` for a wake that only a claim delivers.
    sink: Option<String>,
    /// `None` in a state that only a newer program knows. Such a wake is not changed.
    before: Option<WakeProgress>,
}

impl FoundWake {
    /// Reads [`FOUND`] and [`PROGRESS`].
    fn read(row: &Row<'_>) -> rusqlite::Result<FoundWake> {
        Ok(FoundWake {
            seq: row.get(0)?,
            id: row.get(1)?,
            session: row.get(2)?,
            sink: named(row, 3)?,
            before: known(progress(row, 4))?,
        })
    }

    /// Records that the wake is in another state, or due at another time.
    fn record(
        &self,
        writer: &Writer<'_>,
        after: &WakeProgress,
        attempt: u32,
        by: Option<&Actor>,
    ) -> rusqlite::Result<()> {
        let error = match after.state {
            WakeState::Scheduled | WakeState::Dead | WakeState::Superseded => after.last_error.clone(),
            // An error of an earlier attempt.
            WakeState::InFlight | WakeState::HandedOff | WakeState::Delivered => None,
        };
        let kind = EventKind::Wake {
            state: after.state,
            sink: self.sink.clone(),
            attempt: Some(attempt).filter(|attempt| *attempt > 0),
            error,
            jobs: Vec::new(),
        };
        let changed = NewEvent::of_home(kind);
        writer.record(&NewEvent { session: Some(&self.session), wake: Some(&self.id), actor: by, ..changed })
    }
}

/// The number of the attempt that an event of a wake is about; 0 if there was none.
fn attempt_of(event: &WakeEvent, before: &WakeProgress, after: &WakeProgress) -> u32 {
    match event {
        WakeEvent::Started
        | WakeEvent::Answered { .. }
        | WakeEvent::Claimed { .. }
        | WakeEvent::Printed { .. }
        | WakeEvent::Leased(_)
        | WakeEvent::LeaseAnswered { .. }
        | WakeEvent::LeaseExpired(_)
        | WakeEvent::AnswerLost => before.attempts + 1,
        WakeEvent::Confirmed | WakeEvent::NotAcknowledged | WakeEvent::Superseded => before.attempts,
        WakeEvent::RetriedNow { .. } => after.attempts,
    }
}

/// Applies an event to a wake and to the follow-ups that it carries. Returns whether anything changed. At most one wake of
/// a session is in flight: while another one is, a wake is neither sent nor leased. `reason` replaces the error of the last
/// attempt.
pub(super) fn move_wake(
    writer: &Writer<'_>,
    id: WakeId,
    event: &WakeEvent,
    context: &ChangeContext<'_>,
    reason: Option<&str>,
) -> rusqlite::Result<bool> {
    let found = writer
        .prepare_cached(&format!("SELECT {FOUND}, {PROGRESS} FROM wakes WHERE id = ?1"))?
        .query_row([id.to_string()], FoundWake::read)
        .optional()?;
    let Some(found) = found else { return Ok(false) };
    let Some(before) = &found.before else { return Ok(false) };
    let (mut after, follow_up) = before.after(event, context.policy, context.now, context.jitter);
    let starts = after.state == WakeState::InFlight && before.state != WakeState::InFlight;
    if after == *before || (starts && is_one_in_flight(writer, &found.session)?) {
        return Ok(false);
    }
    if let Some(reason) = reason {
        after.last_error = Some(reason.to_owned());
    }
    write_progress(writer, found.seq, &after)?;
    if after.state == WakeState::Dead {
        writer.prepare_cached("UPDATE wakes SET unannounced = 1 WHERE seq = ?1")?.execute([found.seq])?;
    }
    record_attempt(
        writer,
        (found.seq, before.attempts + 1),
        event,
        after.last_error.as_deref(),
        context.now,
    )?;
    found.record(writer, &after, attempt_of(event, before, &after), None)?;
    if let Some(event) = follow_up {
        for job in carried_by(writer, found.seq)? {
            apply_event(writer, job, event, None)?;
        }
    }
    Ok(true)
}

/// Whether a wake of the session is in flight.
fn is_one_in_flight(connection: &Connection, session: &str) -> rusqlite::Result<bool> {
    // The condition repeats that of the index.
    connection
        .prepare_cached(
            "SELECT 1 FROM wakes WHERE session = ?1 AND state IN ('scheduled', 'in_flight', 'handed_off')
                AND state = 'in_flight'",
        )?
        .exists([session])
}

fn write_progress(connection: &Connection, seq: i64, progress: &WakeProgress) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE wakes SET state = ?2, attempts = ?3, busy_answers = ?4, next_at = ?5, since = ?6,
                last_error = ?7, lease = ?8, lease_holder = ?9, lease_expires_at = ?10 WHERE seq = ?1",
        )?
        .execute(params![
            seq,
            progress.state.as_str(),
            progress.attempts,
            progress.busy_answers,
            progress.next_at.map(Timestamp::as_unix_millis),
            progress.since.as_unix_millis(),
            progress.last_error,
            progress.lease.as_ref().map(|lease| lease.id.to_string()),
            progress.lease.as_ref().map(|lease| &lease.holder),
            progress.lease.as_ref().map(|lease| lease.expires_at.as_unix_millis()),
        ])
        .map(drop)
}

/// Creates a wake, unless one of its jobs is no longer pending or another wake carries it. A wake that would be in flight
/// beside another one of its session is not created either.
fn make_wake(writer: &Writer<'_>, new: &NewWake, state: WakeState, now: Timestamp) -> rusqlite::Result<bool> {
    let NewWake { wake, sink } = new;
    if state == WakeState::InFlight && is_one_in_flight(writer, wake.session.as_str())? {
        return Ok(false);
    }
    let mut jobs = Vec::with_capacity(wake.content.job_ids.len());
    for id in &wake.content.job_ids {
        let seq: Option<i64> = writer
            .prepare_cached(
                "SELECT jobs.seq FROM jobs JOIN follow_ups ON follow_ups.job = jobs.seq
                 WHERE jobs.id = ?1 AND follow_ups.state = 'pending' AND follow_ups.wake IS NULL",
            )?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        match seq {
            Some(seq) => jobs.push(seq),
            None => return Ok(false),
        }
    }
    writer
        .prepare_cached(
            "INSERT INTO wakes (id, session, sink, state, created_at, text, job_ids, jobs, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?5)",
        )?
        .execute(params![
            wake.id.to_string(),
            wake.session.as_str(),
            column(sink.as_ref()),
            state.as_str(),
            now.as_unix_millis(),
            wake.content.text,
            to_json(&wake.content.job_ids)?,
            wake.content.jobs.as_json(),
        ])?;
    let seq = writer.last_insert_rowid();
    for job in jobs {
        writer.prepare_cached("UPDATE follow_ups SET wake = ?2 WHERE job = ?1")?.execute([job, seq])?;
        writer.prepare_cached("INSERT INTO wake_jobs (job, wake) VALUES (?1, ?2)")?.execute([job, seq])?;
    }
    let is_attempted = state == WakeState::InFlight;
    if is_attempted {
        start_attempt(writer, (seq, 1), None, now)?;
    }
    let progress = WakeProgress { state, ..WakeProgress::new(now) };
    let made = FoundWake {
        seq,
        id: wake.id.to_string(),
        session: wake.session.as_str().to_owned(),
        sink: sink.clone(),
        before: None,
    };
    made.record(writer, &progress, u32::from(is_attempted), None)?;
    // The budget does not hold the remaining follow-ups until the next decision.
    writer
        .prepare_cached("DELETE FROM holds WHERE session = ?1 AND until IS NOT NULL")?
        .execute([wake.session.as_str()])?;
    Ok(true)
}

/// Closes a wake whose follow-ups are routed anew, and detaches them. It does not count against the budget: another wake
/// replaces it.
fn supersede(
    writer: &Writer<'_>,
    id: WakeId,
    reason: &str,
    context: &ChangeContext<'_>,
) -> rusqlite::Result<bool> {
    let is_superseded = move_wake(writer, id, &WakeEvent::Superseded, context, Some(reason))?;
    if is_superseded {
        writer.prepare_cached("UPDATE wakes SET counts = 0 WHERE id = ?1")?.execute([id.to_string()])?;
        writer
            .prepare_cached(
                "UPDATE follow_ups SET wake = NULL WHERE wake = (SELECT seq FROM wakes WHERE id = ?1)",
            )?
            .execute([id.to_string()])?;
    }
    Ok(is_superseded)
}

/// Gives a scheduled wake without a sink one.
fn set_sink(connection: &Connection, id: WakeId, sink: &str) -> rusqlite::Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE wakes SET sink = ?2 WHERE id = ?1 AND sink = '' AND state = 'scheduled'")?
        .execute(params![id.to_string(), sink])?;
    Ok(changed > 0)
}

/// The jobs whose follow-ups a wake carries now.
fn carried_by(connection: &Connection, wake: i64) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached("SELECT job FROM follow_ups WHERE wake = ?1 ORDER BY job")?
        .query_map([wake], |row| row.get(0))?
        .collect()
}

/// Applies a retry to the wake that carries the follow-up. Retries an open wake now and from the first attempt. Detaches
/// the follow-up from a closed wake, so that a new one carries it. `by` is who caused it; `None` for who makes the changes.
pub(super) fn retry_wake_of(
    writer: &Writer<'_>,
    job: i64,
    now: Timestamp,
    by: Option<&Actor>,
) -> rusqlite::Result<()> {
    let found = writer
        .prepare_cached(&format!(
            "SELECT {FOUND}, {PROGRESS} FROM follow_ups JOIN wakes ON wakes.seq = follow_ups.wake
             WHERE follow_ups.job = ?1"
        ))?
        .query_row([job], FoundWake::read)
        .optional()?;
    let Some(found) = found else { return Ok(()) };
    let Some(before) = &found.before else { return Ok(()) };
    if !before.state.is_open() {
        writer.prepare_cached("UPDATE follow_ups SET wake = NULL WHERE job = ?1")?.execute([job])?;
        return Ok(());
    }
    let event = WakeEvent::RetriedNow { from_the_start: true };
    let (after, _) = before.after(&event, &RetryPolicy::default(), now, 0.5);
    if after == *before {
        return Ok(());
    }
    write_progress(writer, found.seq, &after)?;
    found.record(writer, &after, attempt_of(&event, before, &after), by)?;
    if before.state == WakeState::HandedOff {
        // The other jobs of the wake go with it.
        for other in carried_by(writer, found.seq)? {
            apply_event(writer, other, FollowUpEvent::AttemptFailed, by)?;
        }
    }
    Ok(())
}

/// The value that was read; `None` for a state that only a newer program knows. Such a row is not changed.
fn known<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Err(rusqlite::Error::InvalidColumnType(..)) => Ok(None),
        read => read.map(Some),
    }
}
