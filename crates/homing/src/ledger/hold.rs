//! Why undelivered follow-ups wait, by route.

use std::collections::BTreeMap;

use homing_core::{SessionId, Timestamp};
use rusqlite::{Connection, params};

use super::rows::column;

/// The properties of a job that select its sink within a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RouteKey {
    /// The sink that the job names.
    pub(crate) sink: Option<String>,
    /// The harness that the job was launched from.
    pub(crate) harness: Option<String>,
}

/// Why undelivered follow-ups wait, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) until: Option<Timestamp>,
    pub(crate) reason: String,
}

/// Replaces the holds of a session.
pub(super) fn set_holds(
    connection: &Connection,
    session: &SessionId,
    holds: &BTreeMap<RouteKey, Hold>,
) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM holds WHERE session = ?1")?.execute([session.as_str()])?;
    for (route, hold) in holds {
        connection
            .prepare_cached(
                "INSERT INTO holds (session, sink, harness, until, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                session.as_str(),
                column(route.sink.as_ref()),
                column(route.harness.as_ref()),
                hold.until.map(Timestamp::as_unix_millis),
                hold.reason,
            ])?;
    }
    Ok(())
}
