//! Ids of wakes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{IdError, Timestamp};

/// The id of a wake, identical in every attempt: `w_` and a ULID, so that ids sort by time. Receivers use it as the
/// idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WakeId(Ulid);

const PREFIX: &str = "w_";

impl WakeId {
    /// Creates an id from the time and 80 random bits.
    pub fn new(now: Timestamp, random: [u8; 10]) -> WakeId {
        WakeId(ulid(now, random))
    }
}

/// The id that consists of a time and random bits. Ids sort by time.
pub(super) fn ulid(now: Timestamp, random: [u8; 10]) -> Ulid {
    let mut bits = [0; 16];
    bits[6..].copy_from_slice(&random);
    let millis = u64::try_from(now.as_unix_millis()).unwrap_or(0);
    Ulid::from_parts(millis, u128::from_be_bytes(bits))
}

/// The ULID after this prefix.
pub(super) fn ulid_after(prefix: &str, text: &str) -> Option<Ulid> {
    text.strip_prefix(prefix).and_then(|ulid| Ulid::from_string(ulid).ok())
}

impl fmt::Display for WakeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", self.0))
    }
}

impl FromStr for WakeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<WakeId, IdError> {
        ulid_after(PREFIX, text)
            .map(WakeId)
            .ok_or_else(|| IdError::NotAWakeId(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for WakeId {
    type Error = IdError;

    fn try_from(text: String) -> Result<WakeId, IdError> {
        text.parse()
    }
}

impl From<WakeId> for String {
    fn from(id: WakeId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_sort_by_time() {
        let early = WakeId::new(Timestamp::from_unix_millis(1_795_345_200_123), [0xff; 10]);
        let late = WakeId::new(Timestamp::from_unix_millis(1_795_345_200_124), [0; 10]);
        assert_eq!(early.to_string(), "w_01M81EKCZVZZZZZZZZZZZZZZZZ");
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early.to_string() < late.to_string());
    }

    #[test]
    fn invalid_ids_are_refused() {
        for text in ["", "w_", "01M8059H7VZZZZZZZZZZZZZZZZ", "w_01M8059H7VZZZZZZZZZZZZZZZ", "w_'; DROP TABLE"]
        {
            assert!(text.parse::<WakeId>().is_err(), "{text:?}");
        }
    }
}
