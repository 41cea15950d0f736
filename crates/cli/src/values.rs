//! Arguments that several commands share, and parsers of their values.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use homing::core::{DurationError, parse_duration};
use homing::{FollowUpState, JobIdPrefix, Origin, SessionId, StateName, Timeout};

/// The jobs that a command applies to.
#[derive(Debug, clap::Args)]
pub(crate) struct Jobs {
    /// Job ids, or unique prefixes of them
    #[arg(required = true, value_name = "JOB")]
    pub(crate) jobs: Vec<JobIdPrefix>,
}

/// The session that the command acts for.
#[derive(Debug, clap::Args)]
pub(crate) struct Caller {
    /// Session that the command acts for [default: see below]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
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

/// Parses `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("use NAME=VALUE".to_owned()),
    }
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
