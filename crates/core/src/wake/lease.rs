//! Leases: a host delivers a wake itself, and has a limited time for it.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use ulid::Ulid;

use super::Wake;
use super::id::{ulid, ulid_after};
use crate::{IdError, Timestamp};

/// The id of a lease: `l_` and a ULID. It distinguishes the host that has the wake now from hosts whose leases have
/// expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(Ulid);

const PREFIX: &str = "l_";

impl LeaseId {
    /// Creates an id from the time and 80 random bits.
    pub fn new(now: Timestamp, random: [u8; 10]) -> LeaseId {
        LeaseId(ulid(now, random))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{PREFIX}{}", self.0))
    }
}

impl FromStr for LeaseId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<LeaseId, IdError> {
        ulid_after(PREFIX, text)
            .map(LeaseId)
            .ok_or_else(|| IdError::NotALeaseId(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for LeaseId {
    type Error = IdError;

    fn try_from(text: String) -> Result<LeaseId, IdError> {
        text.parse()
    }
}

impl From<LeaseId> for String {
    fn from(id: LeaseId) -> String {
        id.to_string()
    }
}

/// The right of a host to deliver a wake. Meanwhile no sink, hook or other host delivers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// Its id. The host names it in its answer.
    pub id: LeaseId,
    /// The name of the host, for people. Untrusted text.
    pub holder: String,
    /// The time of the wall clock at which the attempt has failed if the host has not answered.
    pub expires_at: Timestamp,
}

/// A wake that a host has leased. Its JSON form is the document `homing.wake/1` with the additional field `lease`.
#[derive(Clone, Debug)]
#[must_use = "answer the lease, or the attempt fails when it expires"]
pub struct LeasedWake {
    /// The wake.
    pub wake: Wake,
    /// The lease.
    pub lease: Lease,
}

impl Serialize for LeasedWake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("LeasedWake", Wake::FIELDS + 1)?;
        self.wake.serialize_fields(&mut document)?;
        document.serialize_field("lease", &self.lease)?;
        document.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WakeContent, WakeId};

    #[test]
    fn ids_of_leases_are_read_back_and_are_not_ids_of_wakes() {
        let now = Timestamp::from_unix_millis(1_795_345_200_123);
        let id = LeaseId::new(now, [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<LeaseId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        let wake = WakeId::new(now, [7; 10]).to_string();
        for text in [wake.as_str(), "", "l_", "l_01M8059H7VZZZZZZZZZZZZZZZ", "l_\u{1b}[31m"] {
            assert!(text.parse::<LeaseId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn document_is_that_of_the_wake_and_the_lease() {
        let now = Timestamp::from_unix_millis(1_795_345_200_123);
        let wake = Wake {
            id: WakeId::new(now, [1; 10]),
            session: "chat-1".parse().unwrap(),
            attempt: 2,
            created_at: now,
            content: WakeContent::new("1 job has finished".to_owned(), &[]),
        };
        let lease = Lease { id: LeaseId::new(now, [2; 10]), holder: "host".to_owned(), expires_at: now };
        let leased = LeasedWake { wake: wake.clone(), lease };
        let mut document = serde_json::to_value(&leased).unwrap();
        let lease = document.as_object_mut().unwrap().remove("lease").unwrap();
        assert_eq!(document, serde_json::from_str::<serde_json::Value>(&wake.to_json()).unwrap());
        let expected = serde_json::json!({
            "id": leased.lease.id.to_string(), "holder": "host", "expires_at": "2026-11-22T11:00:00.123Z"
        });
        assert_eq!(lease, expected);
    }
}
