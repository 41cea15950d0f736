//! Moves the follow-up of one job, by the transitions of the core.

use homing_core::{FollowUpEvent, FollowUpState, TransitionError};
use homing_supervisor::platform::clock;
use rusqlite::{Connection, params};

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

/// Applies an event to the follow-up of one job.
pub(super) fn apply_event(
    connection: &Connection,
    seq: i64,
    event: FollowUpEvent,
) -> rusqlite::Result<Moved> {
    let before: String = connection
        .prepare_cached("SELECT state FROM follow_ups WHERE job = ?1")?
        .query_row([seq], |row| row.get(0))?;
    let Some(before) = FollowUpState::from_name(&before) else {
        return Ok(Moved::Unsupported(format!("its follow-up is {before:?}")));
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
        connection
            .prepare_cached(
                "UPDATE follow_ups SET state = ?2, due_at = coalesce(?3, due_at), expired_at = NULL WHERE job = ?1",
            )?
            .execute(params![seq, after.as_str(), due_at])?;
    }
    Ok(Moved::To(after))
}
