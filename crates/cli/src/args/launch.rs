//! The arguments of `run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use homing::core::parse_duration;
use homing::{FollowUpPolicy, JobCommand, JobKey, JobSpec, LeftoverPolicy, Timeout};

use super::values::{Caller, assignment, time_limit};

/// What is launched, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Launches one job under this key, however often it is repeated: answers with the job that has the key already
    #[arg(long, value_name = "KEY")]
    key: Option<JobKey>,
    /// Directory it runs in [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Environment variable it gets besides the inherited ones; repeatable, never written to disk
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// Time limit, such as 90s or 2h, or none [default: 1h, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    timeout: Option<Timeout>,
    /// Time between SIGTERM and SIGKILL [default: 10s, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
    /// Ends or keeps processes that outlive the main process; the result names them
    #[arg(long, value_name = "kill|keep", value_enum, default_value_t, hide_possible_values = true)]
    leftovers: Leftovers,
    /// When the session hears of the end
    #[arg(
        long,
        value_name = "always|failure|never",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    follow_up: FollowUps,
    /// Sink that wakes the session [default: as the routes say]
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Streams the output and exits as the job did, or leaves it in the background after DURATION; "--wait 30s" is
    /// the same as "--wait=30s"
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    pub(crate) wait: Option<Option<Duration>>,
    /// Prints the job as JSON; with --wait, as it is when the wait is over
    #[arg(long)]
    pub(crate) json: bool,
    /// One word is a shell script; several are a program and its exact arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// See [`LeftoverPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Leftovers {
    /// They are ended, and named in the result
    #[default]
    Kill,
    /// They are left running, and named in the result
    Keep,
}

/// See [`FollowUpPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FollowUps {
    /// Always
    #[default]
    Always,
    /// Only when the job did not succeed
    Failure,
    /// Never; the result can still be read
    Never,
}

impl RunArgs {
    /// The request that these arguments make.
    ///
    /// # Errors
    /// When the command is empty, or the environment names no proper session.
    pub(crate) fn into_spec(self) -> homing::Result<JobSpec> {
        let origin = self.caller.origin()?;
        let mut spec = JobSpec::new(JobCommand::from_words(self.command)?)
            .origin(origin)
            .timeout(self.timeout.unwrap_or_default())
            .leftovers(match self.leftovers {
                Leftovers::Kill => LeftoverPolicy::Kill,
                Leftovers::Keep => LeftoverPolicy::Keep,
            })
            .follow_up(match self.follow_up {
                FollowUps::Always => FollowUpPolicy::Always,
                FollowUps::Failure => FollowUpPolicy::Failure,
                FollowUps::Never => FollowUpPolicy::Never,
            });
        if let Some(name) = self.name {
            spec = spec.name(name);
        }
        if let Some(key) = self.key {
            spec = spec.key(key);
        }
        if let Some(sink) = self.sink {
            spec = spec.sink(sink);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        if let Some(grace) = self.grace {
            spec = spec.grace(grace);
        }
        for (name, value) in self.env {
            spec = spec.env(name, value);
        }
        Ok(spec)
    }
}
