//! A transaction that changes the ledger and records the events of its changes: both are committed, or neither.

use std::cell::Cell;
use std::ops::Deref;

use homing_core::{Actor, EventKind, SessionId, Timestamp};
use homing_supervisor::crash_point;
use rusqlite::{Connection, Transaction, params};

use super::epoch::{epoch, renew};
use super::event_rows::detail;
use super::scanned_file::ScannedFile;

/// How many events are recorded before the oldest are deleted again.
const TRIM_EVERY: i64 = 1_000;

/// The most events that one transaction deletes, so that it stays short after the limit was lowered.
const TRIM_AT_MOST: i64 = 10_000;

/// A transaction with the write lock. Nothing is changed unless it is committed.
pub(super) struct Writer<'l> {
    transaction: Transaction<'l>,
    /// Who makes the changes.
    actor: &'l Actor,
    highest: &'l ScannedFile,
    /// How many events are kept.
    kept: i64,
    /// The time at which its events are recorded.
    now: Timestamp,
    place: Cell<Option<Place>>,
}

/// Where a transaction appends to the log.
#[derive(Clone, Copy)]
struct Place {
    epoch: u32,
    /// The number of the newest event before this transaction.
    before: i64,
    /// The number of the newest event.
    last: i64,
}

/// An event to record.
pub(super) struct NewEvent<'e> {
    pub(super) kind: EventKind,
    /// When it happened, in milliseconds since the epoch; `None` for now.
    pub(super) occurred_at_ms: Option<i64>,
    pub(super) session: Option<&'e str>,
    pub(super) job: Option<&'e str>,
    pub(super) wake: Option<&'e str>,
    /// Who caused it; `None` for who makes the changes of this transaction.
    pub(super) actor: Option<&'e Actor>,
}

impl<'e> NewEvent<'e> {
    /// An event of a job, caused now by who makes the changes of this transaction.
    pub(super) fn of_job(kind: EventKind, job: &'e str, session: &'e str) -> NewEvent<'e> {
        NewEvent { job: Some(job), session: Some(session), ..NewEvent::of_home(kind) }
    }

    /// As [`NewEvent::of_job`], for an event that belongs to no job.
    pub(super) fn of_home(kind: EventKind) -> NewEvent<'e> {
        NewEvent { kind, occurred_at_ms: None, session: None, job: None, wake: None, actor: None }
    }
}

impl Deref for Writer<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.transaction
    }
}

impl<'l> Writer<'l> {
    pub(super) fn new(
        transaction: Transaction<'l>,
        actor: &'l Actor,
        highest: &'l ScannedFile,
        kept: i64,
        now: Timestamp,
    ) -> Writer<'l> {
        Writer { transaction, actor, highest, kept, now, place: Cell::new(None) }
    }

    /// Who makes the changes.
    pub(super) fn actor(&self) -> &'l Actor {
        self.actor
    }

    /// Records an event.
    pub(super) fn record(&self, event: &NewEvent<'_>) -> rusqlite::Result<()> {
        let place = self.place()?;
        let seq = place.last + 1;
        let actor = event.actor.unwrap_or(self.actor);
        let now_ms = self.now.as_unix_millis();
        self.transaction
            .prepare_cached(
                "INSERT INTO events (seq, type, occurred_at, recorded_at, session, job, wake, actor, actor_uid,
                     actor_pid, actor_session, actor_token, actor_program, detail)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                seq,
                event.kind.name(),
                event.occurred_at_ms.unwrap_or(now_ms),
                now_ms,
                event.session,
                event.job,
                event.wake,
                actor.kind.as_str(),
                actor.uid,
                actor.pid,
                actor.session.as_ref().map(SessionId::as_str),
                actor.token,
                actor.program,
                detail(&event.kind)?,
            ])?;
        self.place.set(Some(Place { last: seq, ..place }));
        Ok(())
    }

    /// The place in the log. Begins a new epoch in an older state of the ledger, which would give numbers a second time.
    fn place(&self) -> rusqlite::Result<Place> {
        if let Some(place) = self.place.get() {
            return Ok(place);
        }
        let last = newest(&self.transaction)?;
        let known = epoch(&self.transaction)?;
        let was_higher =
            |epoch| self.highest.events().is_some_and(|(noted, highest)| noted == epoch && highest > last);
        let epoch = match known.filter(|epoch| !was_higher(*epoch)) {
            Some(epoch) => epoch,
            None => renew(&self.transaction)?,
        };
        Ok(Place { epoch, before: last, last })
    }

    /// Deletes events beyond the number that is kept, oldest first and at most 10,000. Returns whether there may be more.
    pub(super) fn trim(&self) -> rusqlite::Result<bool> {
        let oldest: Option<i64> = self
            .transaction
            .prepare_cached("SELECT min(seq) FROM events")?
            .query_row([], |row| row.get(0))?;
        let Some(oldest) = oldest else { return Ok(false) };
        let excess = newest(&self.transaction)? - self.kept;
        let through = excess.min(oldest - 1 + TRIM_AT_MOST);
        if through < oldest {
            return Ok(false);
        }
        self.transaction.prepare_cached("DELETE FROM events WHERE seq <= ?1")?.execute([through])?;
        Ok(through < excess)
    }

    /// Makes the changes and their events durable.
    pub(super) fn commit(self) -> rusqlite::Result<()> {
        let place = self.place.get();
        if place.is_some_and(|place| place.before / TRIM_EVERY != place.last / TRIM_EVERY) {
            self.trim()?;
        }
        crash_point("ledger/before_commit");
        self.transaction.commit()?;
        crash_point("ledger/after_commit");
        if let Some(place) = place {
            self.highest.note_events(place.epoch, place.last);
        }
        Ok(())
    }

    /// Discards the changes.
    pub(super) fn rollback(self) -> rusqlite::Result<()> {
        self.transaction.rollback()
    }
}

/// The number of the newest event; 0 if there is none.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let mut query = connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM events")?;
    query.query_row([], |row| row.get(0))
}
