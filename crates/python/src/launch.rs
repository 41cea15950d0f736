//! Converts the arguments of a launch from Python.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use homing::{Error, FollowUpPolicy, JobCommand, JobSpec, LeftoverPolicy, Origin, SessionId, Timeout};
use pyo3::prelude::*;

use crate::errors::Result;

/// A command: a script, or the exact arguments of a program.
#[derive(FromPyObject)]
pub(crate) enum Command {
    Script(String),
    Arguments(Vec<String>),
}

/// Timeout of a job: milliseconds, `False` for none, `None` for the configured one.
#[derive(FromPyObject)]
pub(crate) enum Limit {
    Unlimited(bool),
    Millis(u64),
}

/// The keyword arguments of `Home.launch`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    command: Command,
    session: Option<String>,
    key: Option<String>,
    name: Option<String>,
    cwd: Option<PathBuf>,
    env: Option<BTreeMap<String, String>>,
    timeout_ms: Option<Limit>,
    grace_ms: Option<u64>,
    output_head_bytes: Option<u64>,
    output_tail_bytes: Option<u64>,
    keep_leftovers: bool,
    follow_up: String,
    sink: Option<String>,
    on: Option<String>,
}

impl Request {
    pub(crate) fn into_spec(self) -> Result<JobSpec> {
        let command = match self.command {
            Command::Script(text) => JobCommand::script(text),
            Command::Arguments(words) => JobCommand::argv(words),
        };
        let session = self.session.map(|session| session.parse::<SessionId>()).transpose()?;
        let mut spec = JobSpec::new(command.map_err(Error::from)?).origin(Origin::from_environment(session)?);
        if let Some(key) = self.key {
            spec = spec.key(key.parse()?);
        }
        if let Some(name) = self.name {
            spec = spec.name(name);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        for (name, value) in self.env.unwrap_or_default() {
            spec = spec.env(name, value);
        }
        if let Some(grace) = self.grace_ms {
            spec = spec.grace(Duration::from_millis(grace));
        }
        if let Some(bytes) = self.output_head_bytes {
            spec = spec.output_head_bytes(bytes);
        }
        if let Some(bytes) = self.output_tail_bytes {
            spec = spec.output_tail_bytes(bytes);
        }
        if let Some(sink) = self.sink {
            spec = spec.sink(sink);
        }
        if let Some(executor) = self.on {
            spec = spec.on(executor);
        }
        let follow_up = match &*self.follow_up {
            "always" => FollowUpPolicy::Always,
            "failure" => FollowUpPolicy::Failure,
            "never" => FollowUpPolicy::Never,
            other => {
                let message =
                    format!("follow_up must be \"always\", \"failure\" or \"never\", not {other:?}");
                return Err(Error::InvalidRequest(message).into());
            }
        };
        let leftovers = if self.keep_leftovers { LeftoverPolicy::Keep } else { LeftoverPolicy::Kill };
        Ok(spec.timeout(time_limit(self.timeout_ms)?).follow_up(follow_up).leftovers(leftovers))
    }
}

fn time_limit(limit: Option<Limit>) -> Result<Timeout> {
    match limit {
        None => Ok(Timeout::Configured),
        Some(Limit::Unlimited(false)) => Ok(Timeout::None),
        Some(Limit::Unlimited(true)) => {
            Err(Error::InvalidRequest("timeout must be a number of seconds, or None".to_owned()).into())
        }
        Some(Limit::Millis(millis)) => Ok(Timeout::After(Duration::from_millis(millis))),
    }
}
