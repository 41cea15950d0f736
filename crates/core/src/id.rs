//! Ids: jobs, prefixes of job ids, sessions, and job keys. `name.rs` has the names of jobs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id of a job: 12 lower-case hexadecimal digits. They are 48 random bits or, for a job with a [`JobKey`], 48
/// bits of the hash of session and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId([u8; JobId::LENGTH]);

impl JobId {
    /// Length of an id in characters.
    pub const LENGTH: usize = 12;

    /// Creates an id from random bytes, or from the first bytes of a hash.
    pub fn from_random(bytes: [u8; 6]) -> JobId {
        let mut digits = [0; JobId::LENGTH];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = hex_digit(byte >> 4);
            pair[1] = hex_digit(byte & 0xf);
        }
        JobId(digits)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an id holds hexadecimal digits only")
    }
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble - 10),
    }
}

impl FromStr for JobId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<JobId, IdError> {
        let prefix: JobIdPrefix = text.parse()?;
        prefix.as_full_id().ok_or_else(|| IdError::NotAJobId(shown(text)))
    }
}

impl TryFrom<String> for JobId {
    type Error = IdError;

    fn try_from(text: String) -> Result<JobId, IdError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.as_str())
    }
}

/// A job id or a prefix of one, as people type it: 4 to 12 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobIdPrefix(String);

impl JobIdPrefix {
    /// Minimum length of a prefix in characters. A shorter one would match another job too easily.
    pub const MIN_LENGTH: usize = 4;

    /// Returns the digits in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id if the prefix is a complete id.
    pub fn as_full_id(&self) -> Option<JobId> {
        self.0.as_bytes().try_into().ok().map(JobId)
    }
}

impl FromStr for JobIdPrefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<JobIdPrefix, IdError> {
        if text.len() > JobId::LENGTH || !is_hex(text) {
            return Err(IdError::NotAJobId(shown(text)));
        }
        if text.len() < JobIdPrefix::MIN_LENGTH {
            return Err(IdError::ShortPrefix(text.to_owned()));
        }
        Ok(JobIdPrefix(text.to_ascii_lowercase()))
    }
}

/// Whether a text consists of hexadecimal digits only, as a job id does.
pub(crate) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The beginning of an invalid text, for an error message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

impl From<JobId> for JobIdPrefix {
    fn from(id: JobId) -> JobIdPrefix {
        JobIdPrefix(id.as_str().to_owned())
    }
}

/// The id of the agent session that launches jobs: a string that the host chooses, 1 to 256 bytes without control
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

impl SessionId {
    /// Maximum length of a session id, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the session of callers that do not name one.
    pub fn default_session() -> SessionId {
        SessionId("default".to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<SessionId, IdError> {
        if text.is_empty() || text.len() > SessionId::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(IdError::NotASessionId(shown(text)));
        }
        Ok(SessionId(text.to_owned()))
    }
}

impl TryFrom<String> for SessionId {
    type Error = IdError;

    fn try_from(text: String) -> Result<SessionId, IdError> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An idempotency key for a launch: launches with the same key return the same job. The host chooses the string, 1 to
/// 256 bytes without control characters. Keys of different sessions are independent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobKey(String);

impl JobKey {
    /// Maximum length of a key, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<JobKey, IdError> {
        if text.is_empty() || text.len() > JobKey::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(IdError::NotAJobKey(shown(text)));
        }
        Ok(JobKey(text.to_owned()))
    }
}

impl TryFrom<String> for JobKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<JobKey, IdError> {
        text.parse()
    }
}

impl From<JobKey> for String {
    fn from(key: JobKey) -> String {
        key.0
    }
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a text is not a valid id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 4 to 12 hexadecimal digits.
    #[error("{0:?} is not a job id (12 hexadecimal digits)")]
    NotAJobId(String),
    /// Hexadecimal digits, but fewer than [`JobIdPrefix::MIN_LENGTH`].
    #[error("{0:?} is too short for a job id: use at least 4 characters")]
    ShortPrefix(String),
    /// Neither a job id nor the name of a job.
    #[error("{0:?} is neither a job id nor the name of a job")]
    NotAJobRef(String),
    /// Not a name by which a job can be found.
    #[error("{name:?} cannot be the name of a job: {reason}")]
    NotAJobName {
        /// The beginning of the text.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Empty, too long, or with control characters.
    #[error("{0:?} is not a session id (1 to 256 bytes, no control characters)")]
    NotASessionId(String),
    /// Empty, too long, or with control characters.
    #[error("{0:?} is not a job key (1 to 256 bytes, no control characters)")]
    NotAJobKey(String),
    /// Not `w_` and a ULID.
    #[error("{0:?} is not the id of a wake (w_ and 26 characters)")]
    NotAWakeId(String),
    /// Not `l_` and a ULID.
    #[error("{0:?} is not the id of a lease (l_ and 26 characters)")]
    NotALeaseId(String),
    /// Neither `EPOCH.SEQ` nor `oldest`.
    #[error("{0:?} is not a cursor of events (as events have it, or oldest)")]
    NotAnEventCursor(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_id_round_trips_through_text() {
        let id = JobId::from_random([0x3f, 0x9c, 0x0a, 0x1b, 0x2c, 0x4d]);
        assert_eq!(id.to_string(), "3f9c0a1b2c4d");
        assert_eq!("3F9C0A1B2C4D".parse(), Ok(id));
    }

    #[test]
    fn invalid_ids_are_refused() {
        for text in ["", "3f9c0a1b2c4", "3f9c0a1b2c4d0", "3f9c0a1b2c4g", "../../etc/pas"] {
            assert!(text.parse::<JobId>().is_err(), "{text:?}");
        }
        assert_eq!("3f9".parse::<JobIdPrefix>(), Err(IdError::ShortPrefix("3f9".to_owned())));
        assert_eq!("3F9C".parse::<JobIdPrefix>().unwrap().as_str(), "3f9c");
        for text in ["", "a\nb", "\u{1b}[31m", &"x".repeat(257)] {
            assert!(text.parse::<SessionId>().is_err(), "{text:?}");
            assert!(text.parse::<JobKey>().is_err(), "{text:?}");
        }
    }
}
