//! Values that several commands take, read into the library's types.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use homing::core::{DurationError, parse_duration};
use homing::{FollowUpState, JobIdPrefix, Origin, SessionId, StateName, Timeout};

/// The jobs that are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct Jobs {
    /// Ids of jobs, or the beginnings of them
    #[arg(required = true, value_name = "JOB")]
    pub(crate) jobs: Vec<JobIdPrefix>,
}

/// Whose hands these are.
#[derive(Debug, clap::Args)]
pub(crate) struct Caller {
    /// Session on whose behalf [default: see below]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
}

impl Caller {
    /// The session that was named, or that the environment names.
    ///
    /// # Errors
    /// When the environment names something that cannot be a session.
    pub(crate) fn session(&self) -> homing::Result<SessionId> {
        Ok(self.origin()?.session)
    }

    /// The same, and the agent harness that the session belongs to.
    ///
    /// # Errors
    /// As [`Caller::session`].
    pub(crate) fn origin(&self) -> homing::Result<Origin> {
        Origin::from_environment(self.session.clone())
    }
}

/// A way to wake that needs no configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct WakeCommand {
    /// Starts this program for every wake, of whatever session, with the wake as JSON on its standard input; comes last
    #[arg(long = "command", value_name = "PROGRAM ARG", num_args = 1.., allow_hyphen_values = true)]
    words: Option<Vec<String>>,
}

impl WakeCommand {
    /// The program and its arguments, where one was given.
    pub(crate) fn words(&self) -> Option<&[String]> {
        let words = self.words.as_deref()?;
        // All that follows is the command anyway; whoever marks its beginning means the same.
        Some(match words {
            [mark, rest @ ..] if mark == "--" && !rest.is_empty() => rest,
            words => words,
        })
    }
}

/// Reads `90s` or `none`.
pub(crate) fn time_limit(text: &str) -> Result<Timeout, DurationError> {
    match text {
        "none" => Ok(Timeout::None),
        _ => parse_duration(text).map(Timeout::After),
    }
}

/// Reads `NAME=VALUE`.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// How many entries are listed; `None` for all.
pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    let number: u32 = text.parse().map_err(|_| "write a number; 0 shows all".to_owned())?;
    Ok(Limit((number > 0).then_some(number)))
}

/// At most so many; all where it is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<u32>);

/// Reads the name of a state.
pub(crate) fn state() -> impl TypedValueParser<Value = StateName> {
    let names = StateName::ALL.map(StateName::as_str);
    PossibleValuesParser::new(names).try_map(|name| StateName::from_name(&name).ok_or("no such state"))
}

/// Reads the name of a follow-up's state.
pub(crate) fn follow_up_state() -> impl TypedValueParser<Value = FollowUpState> {
    let names = FollowUpState::ALL.map(FollowUpState::as_str);
    PossibleValuesParser::new(names).try_map(|name| FollowUpState::from_name(&name).ok_or("no such state"))
}
