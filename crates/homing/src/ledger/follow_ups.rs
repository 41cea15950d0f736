//! The states of follow-ups. Every change is a transition of the core.

use homing_core::{FollowUpEvent, JobId, Timestamp};
use rusqlite::OptionalExtension;

use super::Ledger;
use super::transition::{Moved, apply_event};
use super::wakes::retry_wake_of;

impl Ledger {
    /// Applies one event to the follow-ups of several jobs: to all of them, or to none if one transition is invalid.
    pub(crate) fn move_follow_ups(
        &mut self,
        ids: &[JobId],
        event: FollowUpEvent,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<(JobId, Moved)>> {
        let writer = self.begin()?;
        let mut results = Vec::with_capacity(ids.len());
        for id in ids {
            let seq: Option<i64> = writer
                .prepare_cached("SELECT seq FROM jobs WHERE id = ?1")?
                .query_row([id.as_str()], |row| row.get(0))
                .optional()?;
            let moved = match seq {
                Some(seq) => {
                    let moved = apply_event(&writer, seq, event, None)?;
                    if event == FollowUpEvent::Retried && matches!(moved, Moved::To(_)) {
                        retry_wake_of(&writer, seq, now, None)?;
                    }
                    moved
                }
                None => Moved::NoSuchJob,
            };
            results.push((*id, moved));
        }
        if results.iter().all(|(_, moved)| matches!(moved, Moved::To(_))) {
            writer.commit()?;
        }
        Ok(results)
    }
}
