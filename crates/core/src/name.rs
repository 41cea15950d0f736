//! The name of a job, and the ways in which people refer to a job: its id, a prefix of it, its name, or `last`.

use std::fmt;
use std::str::FromStr;

use crate::id::{is_hex, shown};
use crate::one_line::flatten;
use crate::{IdError, JobIdPrefix};

/// Refers to the newest job of a session.
const LAST: &str = "last";

/// A name by which a job can be found. It begins with a letter, has 1 to 256 bytes on one line without control or
/// invisible characters, is not `last`, and does not consist of hexadecimal digits only. So it is never taken for an id.
///
/// A job may have another text as its name, for example a description. Such a job is found by its id only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobName(String);

impl JobName {
    /// Maximum length of a name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobName {
    type Err = IdError;

    fn from_str(text: &str) -> Result<JobName, IdError> {
        let broken = if !text.chars().next().is_some_and(char::is_alphabetic) {
            "it must begin with a letter"
        } else if text.len() > JobName::MAX_BYTES {
            "it must not exceed 256 bytes"
        } else if flatten(text) != text {
            "it must not contain line breaks, control characters, invisible characters or a blank at its end"
        } else if text.eq_ignore_ascii_case(LAST) {
            "it refers to the newest job of a session"
        } else if is_hex(text) {
            "it consists of hexadecimal digits only, as a job id does"
        } else {
            return Ok(JobName(text.to_owned()));
        };
        Err(IdError::NotAJobName { name: shown(text), reason: broken })
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A reference to a job, as people type it. The three kinds never overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobRef {
    /// The id of the job, or a unique prefix of it.
    Id(JobIdPrefix),
    /// The newest job of the session: `last`.
    Last,
    /// The newest job of the session that has this name.
    Name(JobName),
}

impl FromStr for JobRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<JobRef, IdError> {
        if is_hex(text) {
            return text.parse().map(JobRef::Id);
        }
        if text.eq_ignore_ascii_case(LAST) {
            return Ok(JobRef::Last);
        }
        text.parse().map(JobRef::Name).map_err(|_| IdError::NotAJobRef(shown(text)))
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            JobRef::Id(prefix) => prefix.as_str(),
            JobRef::Last => LAST,
            JobRef::Name(name) => name.as_str(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_taken_for_ids() {
        for name in ["nightly", "x", "deploy prod", "añadir", "בנייה", "dead-beef", "g", "Last.2", "feed_1"]
        {
            assert_eq!(name.parse::<JobName>().map(|name| name.to_string()), Ok(name.to_owned()));
            assert!(matches!(name.parse(), Ok(JobRef::Name(_))), "{name}");
        }
        let long = "x".repeat(257);
        let refused = [
            "",
            " a",
            "a ",
            "2nd",
            "-rf",
            "../x",
            "last",
            "LAST",
            "dead",
            "ABC",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{1b}[31m",
            "🚀",
            "a\0b",
            &long,
        ];
        for name in refused {
            assert!(name.parse::<JobName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_reference_is_an_id_the_newest_job_or_a_name() {
        assert_eq!("3F9C".parse(), Ok(JobRef::Id("3f9c".parse().unwrap())));
        assert_eq!("last".parse(), Ok(JobRef::Last));
        assert_eq!("Last".parse(), Ok(JobRef::Last));
        assert_eq!("abc".parse::<JobRef>(), Err(IdError::ShortPrefix("abc".to_owned())));
        assert_eq!("3f9c0a1b2c4d0".parse::<JobRef>(), Err(IdError::NotAJobId("3f9c0a1b2c4d0".to_owned())));
        for text in ["", " ", "2nd", "../../etc", "a\nb"] {
            assert_eq!(text.parse::<JobRef>(), Err(IdError::NotAJobRef(text.to_owned())));
        }
    }
}
