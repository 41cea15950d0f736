//! Conversions between values and columns: names of states, documents, times. Reads and writes no table.

use homing_core::{FollowUpState, Lease, StateName, Timestamp, WakeProgress, WakeState};
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

/// The condition for unfinished jobs, as in the partial index. Excludes states that only a newer program knows.
pub(super) const UNFINISHED: &str = "state <> 'finished' AND state IN ('starting', 'running')";
/// The result of an attempt in which a hook of the session claimed the wake.
pub(super) const CLAIMED: &str = "claimed";
/// The result of an attempt in which a process of the session printed the wake.
pub(super) const PRINTED: &str = "printed";
/// The result of an attempt whose lease expired before the host answered.
pub(super) const LEASE_EXPIRED: &str = "lease_expired";

/// The columns of [`progress`].
pub(super) const PROGRESS: &str =
    "wakes.state, wakes.attempts, wakes.busy_answers, wakes.next_at, wakes.since,
    wakes.last_error, wakes.lease, wakes.lease_holder, wakes.lease_expires_at";
/// The columns of [`lease`].
pub(super) const LEASE: &str = "wakes.lease, wakes.lease_holder, wakes.lease_expires_at";

pub(super) fn progress(row: &Row<'_>, first: usize) -> rusqlite::Result<WakeProgress> {
    let state: String = row.get(first)?;
    Ok(WakeProgress {
        state: WakeState::from_name(&state).ok_or(rusqlite::Error::InvalidColumnType(
            first,
            state,
            Type::Text,
        ))?,
        attempts: row.get(first + 1)?,
        busy_answers: row.get(first + 2)?,
        next_at: row.get::<_, Option<i64>>(first + 3)?.map(Timestamp::from_unix_millis),
        since: timestamp(row, first + 4)?,
        last_error: row.get(first + 5)?,
        lease: lease(row, first + 6)?,
    })
}

pub(super) fn lease(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Lease>> {
    if row.get_ref(first)? == ValueRef::Null {
        return Ok(None);
    }
    let (id, expires_at) = (parsed(row, first)?, timestamp(row, first + 2)?);
    Ok(Some(Lease { id, holder: row.get(first + 1)?, expires_at }))
}

/// A column with the name of a sink or harness; `None` where it is empty.
pub(super) fn named(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    row.get(column).map(name_in)
}

/// The value of `column`; `None` where it is empty.
pub(super) fn name_in(column: String) -> Option<String> {
    Some(column).filter(|name| !name.is_empty())
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_unix_millis)
}

/// A column with an id or a name.
pub(super) fn parsed<T: std::str::FromStr<Err = homing_core::IdError>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: homing_core::IdError| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// A column with a document.
pub(super) fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    from_json(column, &row.get::<_, String>(column)?)
}

pub(super) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

pub(super) fn optional_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| from_json(column, &text)).transpose()
}

pub(super) fn state_name(row: &Row<'_>, column: usize) -> rusqlite::Result<StateName> {
    let text: String = row.get(column)?;
    StateName::from_name(&text).ok_or(rusqlite::Error::InvalidColumnType(column, text, Type::Text))
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<FollowUpState> {
    let text: String = row.get(column)?;
    FollowUpState::from_name(&text).ok_or(rusqlite::Error::InvalidColumnType(column, text, Type::Text))
}

/// The value of an optional name in a column: empty for `None`.
pub(super) fn column(name: Option<&String>) -> &str {
    name.map_or("", String::as_str)
}
