//! Cursors: places in the log of events.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::IdError;

/// The text of [`EventCursor::oldest`].
const OLDEST: &str = "oldest";

/// Digits of an epoch.
const EPOCH_DIGITS: usize = 8;

/// A place in the log of events, between two of them. Its text is `EPOCH.SEQ`, or `oldest`. Treat it as opaque.
///
/// The epoch is random. It changes when the ledger was created or rebuilt, or an older ledger was put in place, because
/// the numbers then begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventCursor(Option<(u32, u64)>);

impl EventCursor {
    /// The place before the oldest event that is kept.
    pub fn oldest() -> EventCursor {
        EventCursor(None)
    }

    /// The place after the event with this number.
    pub fn after(epoch: u32, seq: u64) -> EventCursor {
        EventCursor(Some((epoch, seq)))
    }

    /// The epoch, and the number of the event before this place; `None` for [`EventCursor::oldest`].
    pub fn place(self) -> Option<(u32, u64)> {
        self.0
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.pad(OLDEST),
            Some((epoch, seq)) => f.pad(&format!("{epoch:08x}.{seq}")),
        }
    }
}

impl FromStr for EventCursor {
    type Err = IdError;

    fn from_str(text: &str) -> Result<EventCursor, IdError> {
        if text == OLDEST {
            return Ok(EventCursor::oldest());
        }
        parse(text).ok_or_else(|| IdError::NotAnEventCursor(text.chars().take(40).collect()))
    }
}

fn parse(text: &str) -> Option<EventCursor> {
    let (epoch, seq) = text.split_once('.')?;
    // The parser of numbers also accepts a sign.
    let is_plain = epoch.len() == EPOCH_DIGITS && seq.bytes().all(|byte| byte.is_ascii_digit());
    let epoch = u32::from_str_radix(epoch, 16).ok().filter(|_| is_plain && !epoch.starts_with('+'))?;
    Some(EventCursor::after(epoch, seq.parse().ok()?))
}

impl Serialize for EventCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let cursor = EventCursor::after(0x07f3_a9c0, 42);
        assert_eq!(cursor.to_string(), "07f3a9c0.42");
        for cursor in [cursor, EventCursor::after(u32::MAX, u64::MAX), EventCursor::oldest()] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            ".",
            "7f3a9c01",
            "7f3a9c01.",
            "7f3a9c01.-1",
            "7f3a9c01.+1",
            "+f3a9c01.1",
            "7f3a9c0.1",
            "x.1",
            "7f3a9c01.1.2",
            "7f3a9c01.99999999999999999999",
            " 7f3a9c01.1",
            "OLDEST",
        ] {
            assert!(text.parse::<EventCursor>().is_err(), "{text:?}");
        }
    }
}
