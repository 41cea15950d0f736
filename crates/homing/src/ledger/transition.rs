//! Moves the follow-up of one job, by the transitions of the core, and records the event.

use homing_core::{Actor, EventKind, FollowUpEvent, FollowUpState, TransitionError};
use homing_supervisor::platform::clock;
use rusqlite::params;

use super::writer::{NewEvent, Writer};

/// The result of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// The follow-up is in this state now. It may already have been in it.
    To(FollowUpState),
    /// The event is invalid in the state of the follow-up.
    Refused(TransitionError),
    /// A newer program wrote the job or its follow-up in an unknown format. It is not changed.
    Unsupported(String),
    /// The job does not exist.
    NoSuchJob,
}

/// A follow-up before a transition.
struct Before {
    state: String,
    session: String,
    job: String,
}

/// Applies an event to the follow-up of one job. `by` is who caused it; `None` for who makes the changes.
pub(super) fn apply_event(
    writer: &Writer<'_>,
    seq: i64,
    event: FollowUpEvent,
    by: Option<&Actor>,
) -> rusqlite::Result<Moved> {
    let found = read(writer, seq)?;
    let Some(before) = FollowUpState::from_name(&found.state) else {
        return Ok(Moved::Unsupported(format!("its follow-up is {:?}", found.state)));
    };
    let after = match before.after(event) {
        Ok(after) => after,
        Err(refused) => return Ok(Moved::Refused(refused)),
    };
    if after != before {
        // The time without delivery counts from here.
        let begins =
            after == FollowUpState::Pending && matches!(event, FollowUpEvent::Due | FollowUpEvent::Retried);
        let due_at = begins.then(clock::wall_millis);
        writer
            .prepare_cached(
                "UPDATE follow_ups SET state = ?2, due_at = coalesce(?3, due_at), expired_at = NULL WHERE job = ?1",
            )?
            .execute(params![seq, after.as_str(), due_at])?;
        record_move(writer, &found, (before, after), by)?;
    }
    Ok(Moved::To(after))
}

/// Makes the follow-up of a job wait for its end again, unless it is suppressed.
pub(super) fn reset(writer: &Writer<'_>, seq: i64, by: Option<&Actor>) -> rusqlite::Result<()> {
    let found = read(writer, seq)?;
    let Some(before) = FollowUpState::from_name(&found.state) else { return Ok(()) };
    if before == FollowUpState::Suppressed {
        return Ok(());
    }
    writer
        .prepare_cached("UPDATE follow_ups SET state = 'waiting', wake = NULL WHERE job = ?1")?
        .execute([seq])?;
    if before == FollowUpState::Waiting {
        return Ok(());
    }
    record_move(writer, &found, (before, FollowUpState::Waiting), by)
}

fn read(writer: &Writer<'_>, seq: i64) -> rusqlite::Result<Before> {
    writer
        .prepare_cached(
            "SELECT follow_ups.state, follow_ups.session, jobs.id
             FROM follow_ups CROSS JOIN jobs ON jobs.seq = follow_ups.job WHERE follow_ups.job = ?1",
        )?
        .query_row([seq], |row| Ok(Before { state: row.get(0)?, session: row.get(1)?, job: row.get(2)? }))
}

fn record_move(
    writer: &Writer<'_>,
    found: &Before,
    (from, to): (FollowUpState, FollowUpState),
    by: Option<&Actor>,
) -> rusqlite::Result<()> {
    let moved = NewEvent::of_job(EventKind::FollowUp { from, to }, &found.job, &found.session);
    writer.record(&NewEvent { actor: by, ..moved })
}
