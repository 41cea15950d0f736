//! Answers of hosts that have leased a wake.

use std::time::Duration;

use homing_core::{Delivery, JobId, LeaseId, WakeEvent, WakeId};
use rusqlite::{Connection, OptionalExtension, params};

use super::Ledger;
use super::rows::{LEASE, LEASE_EXPIRED, json, lease as read_lease};
use super::wakes::{ChangeContext, move_wake};
use crate::error::LeaseLoss;

/// The result of an answer.
#[derive(Debug)]
pub(crate) enum LeaseAnswer {
    /// It is recorded, now or by an earlier call. The wake carries these jobs.
    Recorded(Vec<JobId>),
    /// The lease is lost. The wake carries these jobs.
    Lost(LeaseLoss, Vec<JobId>),
    NoSuchWake,
}

impl Ledger {
    /// Records the answer of the host that has this lease. A lease that has expired is ended as a failed attempt, also if
    /// no other process has noticed it.
    pub(crate) fn answer_lease(
        &mut self,
        (wake, lease): (WakeId, LeaseId),
        delivery: &Delivery,
        acknowledge_within: Duration,
        context: &ChangeContext<'_>,
    ) -> rusqlite::Result<LeaseAnswer> {
        let writer = self.begin()?;
        let found = writer
            .prepare_cached(&format!("SELECT seq, job_ids, {LEASE} FROM wakes WHERE id = ?1"))?
            .query_row([wake.to_string()], |row| {
                Ok((row.get::<_, i64>(0)?, json::<Vec<JobId>>(row, 1)?, read_lease(row, 2)?))
            })
            .optional()?;
        let Some((seq, jobs, current)) = found else { return Ok(LeaseAnswer::NoSuchWake) };
        let answer = match current.filter(|current| current.id == lease) {
            // A clock that was set back does not refuse the answer of a host that still has the lease.
            Some(current) if context.now < current.expires_at => {
                let delivery = delivery.clone();
                let event = WakeEvent::LeaseAnswered { lease, delivery, acknowledge_within };
                move_wake(&writer, wake, &event, context, None)?;
                LeaseAnswer::Recorded(jobs)
            }
            Some(_) => {
                move_wake(&writer, wake, &WakeEvent::LeaseExpired(lease), context, None)?;
                LeaseAnswer::Lost(LeaseLoss::Expired, jobs)
            }
            None => match result_of(&writer, seq, lease)?.as_deref() {
                // The host repeats an answer whose receipt it has not seen.
                Some(result) if result == delivery.as_str() => LeaseAnswer::Recorded(jobs),
                Some(LEASE_EXPIRED) => LeaseAnswer::Lost(LeaseLoss::Expired, jobs),
                Some(_) => LeaseAnswer::Lost(LeaseLoss::AnsweredBefore, jobs),
                None => LeaseAnswer::Lost(LeaseLoss::NotHeld, jobs),
            },
        };
        writer.commit()?;
        Ok(answer)
    }
}

/// The result of the attempt that had this lease.
fn result_of(connection: &Connection, wake: i64, lease: LeaseId) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT result FROM attempts WHERE wake = ?1 AND lease = ?2")?
        .query_row(params![wake, lease.to_string()], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}
