//! Reads the log of events, page by page.

use homing_core::{Event, EventCursor, SessionId};
use rusqlite::{Connection, params};

use super::Ledger;
use super::epoch::epoch;
use super::event_rows::{SELECT, read_event};
use super::writer::newest;

/// Events in the order in which they were recorded, and where to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventPage {
    /// The events, the oldest first.
    pub events: Vec<Event>,
    /// Where to continue: pass it as [`EventOptions::since`](crate::EventOptions::since).
    pub next: EventCursor,
    /// Whether the cursor is unknown or too old: the ledger was rebuilt, or the events after the cursor were deleted.
    /// Then the page begins with the oldest event that is kept, and what was known from earlier events must be read
    /// again.
    pub truncated: bool,
    /// Whether the limit left out events that match.
    pub has_more: bool,
}

/// The bounds of the log.
struct Log {
    epoch: u32,
    /// The number of the newest event that was deleted, or 0.
    before_oldest: i64,
    newest: i64,
}

impl Log {
    fn of(connection: &Connection) -> rusqlite::Result<Log> {
        let mut oldest = connection.prepare_cached("SELECT coalesce(min(seq), 1) FROM events")?;
        let oldest: i64 = oldest.query_row([], |row| row.get(0))?;
        Ok(Log {
            epoch: epoch(connection)?.unwrap_or(0),
            before_oldest: oldest - 1,
            newest: newest(connection)?,
        })
    }

    fn cursor(&self, seq: i64) -> EventCursor {
        EventCursor::after(self.epoch, u64::try_from(seq).unwrap_or(0))
    }

    /// The number after which a reader continues; `None` if its cursor is unknown or too old.
    fn place_of(&self, cursor: EventCursor) -> Option<i64> {
        let Some((epoch, seq)) = cursor.place() else { return Some(self.before_oldest) };
        let seq = i64::try_from(seq).ok().filter(|_| epoch == self.epoch)?;
        (self.before_oldest..=self.newest).contains(&seq).then_some(seq)
    }
}

impl Ledger {
    /// The events after a cursor, oldest first, at most `limit`. Without a cursor, none: only where to continue.
    pub(crate) fn events(
        &self,
        since: Option<EventCursor>,
        session: Option<&SessionId>,
        limit: u32,
    ) -> rusqlite::Result<EventPage> {
        // In one transaction: events may be recorded and deleted in between.
        let _moment = self.connection.unchecked_transaction()?;
        let log = Log::of(&self.connection)?;
        let place = since.map_or(Some(log.newest), |cursor| log.place_of(cursor));
        let truncated = place.is_none();
        let after = place.unwrap_or(log.before_oldest);
        let sql = format!(
            "{SELECT} WHERE events.seq > ?1 AND (?2 IS NULL OR events.session = ?2) ORDER BY events.seq LIMIT ?3"
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let rows = query
            .query_map(params![after, session.map(SessionId::as_str), limit.saturating_add(1)], |row| {
                Ok((row.get::<_, i64>(0)?, read_event(row, log.epoch)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(page(&log, rows, limit, truncated))
    }

    /// The newest events, oldest first, at most `limit`. `has_more` says whether older ones match.
    pub(crate) fn newest_events(
        &self,
        session: Option<&SessionId>,
        limit: u32,
    ) -> rusqlite::Result<EventPage> {
        let _moment = self.connection.unchecked_transaction()?;
        let log = Log::of(&self.connection)?;
        let sql =
            format!("{SELECT} WHERE ?1 IS NULL OR events.session = ?1 ORDER BY events.seq DESC LIMIT ?2");
        let mut query = self.connection.prepare_cached(&sql)?;
        let mut rows = query
            .query_map(params![session.map(SessionId::as_str), limit.saturating_add(1)], |row| {
                read_event(row, log.epoch)
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let events = rows.into_iter().rev().flatten().collect();
        Ok(EventPage { events, next: log.cursor(log.newest), truncated: false, has_more })
    }

    /// Deletes events beyond the number that is kept, oldest first and at most 10,000. Returns whether there may be more.
    pub(crate) fn trim_events(&mut self) -> rusqlite::Result<bool> {
        let writer = self.begin()?;
        let has_more = writer.trim()?;
        writer.commit()?;
        Ok(has_more)
    }
}

/// Makes a page of rows, of which one more than the limit was read.
fn page(log: &Log, mut rows: Vec<(i64, Option<Event>)>, limit: u32, truncated: bool) -> EventPage {
    let limit = limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    // Events of other sessions are behind the reader too.
    let last = rows.last().map(|(seq, _)| *seq).filter(|_| has_more).unwrap_or(log.newest);
    let events = rows.into_iter().filter_map(|(_, event)| event).collect();
    EventPage { events, next: log.cursor(last), truncated, has_more }
}

#[cfg(test)]
mod tests;
