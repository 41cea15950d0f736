//! Arguments that several commands share, and parsers of their values.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use homing::core::JobName;
use homing::core::{DurationError, parse_duration};
use homing::{FollowUpState, JobRef, Origin, SessionId, StateName, Timeout};

use crate::complete;

/// The job that a command applies to.
#[derive(Debug, clap::Args)]
pub(crate) struct OneJob {
    /// Job id, a unique prefix of it, the name of a job of the session, or "last"
    #[arg(value_name = "JOB", add = complete::jobs())]
    pub(crate) job: JobRef,
}

/// The jobs that a command applies to.
#[derive(Debug, clap::Args)]
#[group(id = "selection", required = true, multiple = false)]
pub(crate) struct Jobs {
    /// Job ids, unique prefixes of them, names of jobs of the session, or "last"
    #[arg(value_name = "JOB", add = complete::jobs())]
    pub(crate) jobs: Vec<JobRef>,
    /// All jobs of the session to which this applies, see below
    #[arg(long)]
    pub(crate) all: bool,
}

/// The jobs of several sessions that a command applies to.
#[derive(Debug, clap::Args)]
pub(crate) struct JobsOfSessions {
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    /// All jobs of all sessions to which this applies, see below
    #[arg(long, group = "selection")]
    pub(crate) all_sessions: bool,
}

/// The session that the command acts for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Caller {
    /// Session that the command acts for [default: that of the environment, else "default"]
    #[arg(short, long, value_name = "SESSION", add = complete::sessions())]
    session: Option<SessionId>,
}

/// The session whose jobs are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct ListedSessions {
    /// List the jobs of this session [default: that of the environment, else all sessions]
    #[arg(short, long, value_name = "SESSION", add = complete::sessions())]
    session: Option<SessionId>,
    /// List the jobs of all sessions
    #[arg(long, conflicts_with = "session")]
    all_sessions: bool,
}

impl ListedSessions {
    /// The session; `None` for all.
    ///
    /// # Errors
    /// When the environment contains an invalid session id.
    pub(crate) fn session(&self) -> homing::Result<Option<SessionId>> {
        if self.all_sessions {
            return Ok(None);
        }
        Ok(Origin::named(self.session.clone())?.map(|origin| origin.session))
    }
}

impl Caller {
    /// The session from `--session` or the environment.
    ///
    /// # Errors
    /// When the environment contains an invalid session id.
    pub(crate) fn session(&self) -> homing::Result<SessionId> {
        Ok(self.origin()?.session)
    }

    /// The session, and the agent harness that it belongs to.
    ///
    /// # Errors
    /// As [`Caller::session`].
    pub(crate) fn origin(&self) -> homing::Result<Origin> {
        Origin::from_environment(self.session.clone())
    }
}

/// A sink that needs no configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct WakeCommand {
    /// Run this program for every wake of any session, with the wake as JSON on standard input; must be the last
    /// option
    #[arg(long = "command", value_name = "PROGRAM ARG", num_args = 1.., allow_hyphen_values = true)]
    words: Option<Vec<String>>,
}

impl WakeCommand {
    /// The program and its arguments, if given.
    pub(crate) fn words(&self) -> Option<&[String]> {
        let words = self.words.as_deref()?;
        // All words after the option belong to the command, so a leading `--` changes nothing.
        Some(match words {
            [separator, rest @ ..] if separator == "--" && !rest.is_empty() => rest,
            words => words,
        })
    }
}

/// Parses `90s` or `none`.
pub(crate) fn timeout(text: &str) -> Result<Timeout, DurationError> {
    match text {
        "none" => Ok(Timeout::None),
        _ => parse_duration(text).map(Timeout::After),
    }
}

/// Parses the name that a new job gets. A blank one is no name.
pub(crate) fn new_name(text: &str) -> Result<String, homing::core::IdError> {
    match text.trim() {
        "" => Ok(String::new()),
        _ => text.parse::<JobName>().map(|name| name.to_string()),
    }
}

/// Parses `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("use NAME=VALUE".to_owned()),
    }
}

/// Parses a number of bytes, such as `500`, `64k`, `4M` or `1GiB`. Units are powers of 1,024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const USAGE: &str = "use a number of bytes with an optional unit, such as 64k, 4M or 1G";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(USAGE.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| USAGE.to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| USAGE.to_owned())
}

/// Parses the maximum number of entries; 0 means all.
pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    let number: u32 = text.parse().map_err(|_| "use a number; 0 shows all".to_owned())?;
    Ok(Limit((number > 0).then_some(number)))
}

/// The maximum number of entries; `None` for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<u32>);

/// Parses the name of a job state.
pub(crate) fn state() -> impl TypedValueParser<Value = StateName> {
    let names = StateName::ALL.map(StateName::as_str);
    PossibleValuesParser::new(names).try_map(|name| StateName::from_name(&name).ok_or("no such state"))
}

/// Parses the name of a follow-up state.
pub(crate) fn follow_up_state() -> impl TypedValueParser<Value = FollowUpState> {
    let names = FollowUpState::ALL.map(FollowUpState::as_str);
    PossibleValuesParser::new(names).try_map(|name| FollowUpState::from_name(&name).ok_or("no such state"))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units_of_1024() {
        let parsed = ["0", "500", "64k", "64K", "64KiB", "4M", "4mb", "1G"].map(size);
        let bytes = [0, 500, 65_536, 65_536, 65_536, 4 << 20, 4 << 20, 1 << 30];
        assert_eq!(parsed, bytes.map(Ok));
        for wrong in ["", "k", "-1", "1.5M", "4 M", "1T", "99999999999999999999", "18446744073709551615G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
