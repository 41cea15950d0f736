//! A place in the list of jobs, from which the next page continues.

use std::fmt;
use std::str::FromStr;

use homing_core::JobId;
use rusqlite::OptionalExtension;

use super::Ledger;
use crate::Error;

/// A place in the list of jobs: see [`ListOptions::before`](crate::ListOptions::before). Its text is opaque.
///
/// The place survives launches, ends and deletions of jobs, also of the job at that place, and a rebuilt ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// The number of the last job of the page in the order of launches, and its id: a rebuilt ledger gives other numbers.
    pub(super) seq: i64,
    pub(super) job: JobId,
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.job)
    }
}

impl FromStr for ListCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<ListCursor, Error> {
        let parsed = text.split_once('.').and_then(|(seq, job)| {
            let seq = seq.bytes().all(|digit| digit.is_ascii_digit()).then(|| seq.parse().ok())??;
            Some(ListCursor { seq, job: job.parse().ok()? })
        });
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::InvalidRequest(format!("{shown:?} is not a cursor of a list of jobs"))
        })
    }
}

impl Ledger {
    /// The number of the job at the cursor, in this ledger.
    pub(super) fn place_of(&self, cursor: &ListCursor) -> rusqlite::Result<i64> {
        let found: Option<i64> = self
            .connection
            .prepare_cached("SELECT seq FROM jobs WHERE id = ?1")?
            .query_row([cursor.job.as_str()], |row| row.get(0))
            .optional()?;
        // A higher number belongs to a later job with the same key.
        Ok(found.map_or(cursor.seq, |seq| seq.min(cursor.seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_and_other_texts_are_refused() {
        let cursor = ListCursor { seq: 17, job: "3f9c0a1b2c4d".parse().unwrap() };
        assert_eq!(cursor.to_string().parse::<ListCursor>().unwrap(), cursor);
        for text in
            ["", "17", "17.", ".3f9c0a1b2c4d", "-1.3f9c0a1b2c4d", "+1.3f9c0a1b2c4d", "17.3f9c", "1.\u{1b}"]
        {
            let error = text.parse::<ListCursor>().unwrap_err();
            assert_eq!(error.code(), "invalid_request", "{text:?}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }
}
