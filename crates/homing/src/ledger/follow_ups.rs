//! The truth about follow-ups: every change goes through the transitions of the core.

use homing_core::{FollowUpEvent, FollowUpState, JobId, Timestamp, TransitionError};
use homing_supervisor::platform::clock;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Ledger;
use super::wakes::retry_wake_of;

/// What came of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is in this state now; it may have been before.
    To(FollowUpState),
    /// The event makes no sense there.
    Refused(TransitionError),
    /// A newer program wrote the job or its follow-up, in a way that this one does not know. It is left alone.
    Unsupported(String),
    /// There is no such job.
    NoSuchJob,
}

impl Ledger {
    /// Applies one event to the follow-ups of several jobs: to all of them, or where one refuses, to none.
    pub(crate) fn move_follow_ups(
        &mut self,
        ids: &[JobId],
        event: FollowUpEvent,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<(JobId, Moved)>> {
        let transaction = self.begin()?;
        let mut results = Vec::with_capacity(ids.len());
        for id in ids {
            let seq: Option<i64> = transaction
                .prepare_cached("SELECT seq FROM jobs WHERE id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            let moved = match seq {
                Some(seq) => {
                    let moved = move_on(&transaction, seq, event)?;
                    if event == FollowUpEvent::Retried && matches!(moved, Moved::To(_)) {
                        retry_wake_of(&transaction, seq, now)?;
                    }
                    moved
                }
                None => Moved::NoSuchJob,
            };
            results.push((*id, moved));
        }
        if results.iter().all(|(_, moved)| matches!(moved, Moved::To(_))) {
            transaction.commit()?;
        }
        Ok(results)
    }
}

/// Applies an event to the follow-up of one job.
pub(super) fn move_on(connection: &Connection, seq: i64, event: FollowUpEvent) -> rusqlite::Result<Moved> {
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
        // From here on it counts how long it is undelivered.
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

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<FollowUpState> {
    let text: String = row.get(column)?;
    FollowUpState::from_name(&text).ok_or(rusqlite::Error::InvalidColumnType(column, text, Type::Text))
}
