//! Reads and writes the columns of events. Changes no table.

use homing_core::{
    Actor, ActorKind, Event, EventCursor, EventKind, FollowUpState, JobId, Outcome, WakeState,
};
use rusqlite::Row;
use rusqlite::types::Type;
use serde::{Deserialize, Serialize};

use super::rows::{optional_json, parsed, timestamp, to_json};

/// The columns of [`read_event`], and their tables. Jobs and wakes may have been deleted.
pub(super) const SELECT: &str = "SELECT events.seq, type, occurred_at, recorded_at, events.session, job,
    jobs.spec ->> '$.name', wake, actor, actor_uid, actor_pid, actor_session, actor_token, actor_program, detail,
    wakes.job_ids
    FROM events LEFT JOIN jobs ON jobs.id = events.job LEFT JOIN wakes ON wakes.id = events.wake";

/// What the type of an event does not say.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<FollowUpState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clean: Option<bool>,
}

/// The column `detail` of an event.
pub(super) fn detail(kind: &EventKind) -> rusqlite::Result<Option<String>> {
    let detail = match kind {
        EventKind::JobFinished { outcome } => Detail { outcome: Some(outcome.clone()), ..Detail::default() },
        EventKind::JobCorrected { outcome } => Detail { outcome: outcome.clone(), ..Detail::default() },
        EventKind::FollowUp { from, to: _ } => Detail { from: Some(*from), ..Detail::default() },
        EventKind::Wake { state: _, sink, attempt, error, jobs: _ } => {
            Detail { sink: sink.clone(), attempt: *attempt, error: error.clone(), ..Detail::default() }
        }
        EventKind::MonitorEnded { clean } => Detail { clean: Some(*clean), ..Detail::default() },
        _ => return Ok(None),
    };
    to_json(&detail).map(Some)
}

/// Reads a row of [`SELECT`]. `None` if a newer program wrote it, in a form that this one does not know.
pub(super) fn read_event(row: &Row<'_>, epoch: u32) -> rusqlite::Result<Option<Event>> {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType};
    let seq: u64 = row.get(0)?;
    match read_known(row, EventCursor::after(epoch, seq)) {
        Err(FromSqlConversionFailure(..) | InvalidColumnType(..)) => {
            tracing::warn!(seq, "an event was written by a newer program and is not shown");
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn read_known(row: &Row<'_>, cursor: EventCursor) -> rusqlite::Result<Event> {
    Ok(Event::new(cursor, kind(row)?, timestamp(row, 2)?, timestamp(row, 3)?, actor(row)?)
        .with_session(optional(row, 4)?)
        .with_job(optional(row, 5)?, row.get(6)?)
        .with_wake(optional(row, 7)?))
}

fn kind(row: &Row<'_>) -> rusqlite::Result<EventKind> {
    let name: String = row.get(1)?;
    let detail: Detail = optional_json(row, 14)?.unwrap_or_default();
    known_kind(&name, detail, || Ok(optional_json::<Vec<JobId>>(row, 15)?.unwrap_or_default()))?
        .ok_or(rusqlite::Error::InvalidColumnType(1, name, Type::Text))
}

fn known_kind(
    name: &str,
    detail: Detail,
    jobs: impl FnOnce() -> rusqlite::Result<Vec<JobId>>,
) -> rusqlite::Result<Option<EventKind>> {
    let Some((what, state)) = name.split_once('.') else { return Ok(None) };
    Ok(match (what, state) {
        ("job", "seen") => Some(EventKind::JobSeen),
        ("job", "started") => Some(EventKind::JobStarted),
        ("job", "kill_requested") => Some(EventKind::JobKillRequested),
        ("job", "finished") => detail.outcome.map(|outcome| EventKind::JobFinished { outcome }),
        ("job", "corrected") => Some(EventKind::JobCorrected { outcome: detail.outcome }),
        ("job", "removed") => Some(EventKind::JobRemoved),
        ("follow_up", state) => {
            let to = FollowUpState::from_name(state);
            detail.from.zip(to).map(|(from, to)| EventKind::FollowUp { from, to })
        }
        ("wake", state) => match WakeState::from_name(state) {
            Some(state) => {
                let (sink, attempt, error) = (detail.sink, detail.attempt, detail.error);
                Some(EventKind::Wake { state, sink, attempt, error, jobs: jobs()? })
            }
            None => None,
        },
        ("monitor", "started") => Some(EventKind::MonitorStarted),
        ("monitor", "ended") => detail.clean.map(|clean| EventKind::MonitorEnded { clean }),
        _ => None,
    })
}

fn actor(row: &Row<'_>) -> rusqlite::Result<Actor> {
    let name: String = row.get(8)?;
    let kind = ActorKind::from_name(&name).ok_or(rusqlite::Error::InvalidColumnType(8, name, Type::Text))?;
    let mut actor = Actor::of(kind);
    actor.uid = row.get(9)?;
    actor.pid = row.get(10)?;
    actor.session = optional(row, 11)?;
    actor.token = row.get(12)?;
    actor.program = row.get(13)?;
    Ok(actor)
}

/// A column with an id or a name, or none.
fn optional<T: std::str::FromStr<Err = homing_core::IdError>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => parsed(row, column).map(Some),
    }
}
