//! The arguments of what keeps the house: `prune`, `recover`, `doctor`, `completions`, `man`.

use std::path::PathBuf;
use std::time::Duration;

use clap_complete::Shell;
use homing::core::parse_duration;
use homing::{Origin, SessionId};

/// What is old enough to go.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only jobs that ended longer ago than this [default: 7d, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Only says which jobs would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints a document with the ids of the jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is recovered.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// Takes jobs of other hosts for lost too, where nothing holds their lock. Use it only if that host is gone
    #[arg(long)]
    pub(crate) assume_gone: bool,
    /// Prints a document with the ids of the jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is looked at, and how the findings are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Sends a test wake to this session, and looks at nothing but how it gets there
    #[arg(long, value_name = "SESSION")]
    wake: Option<SessionId>,
    /// First moves files, directories and FIFOs that are not homing's own into set-aside/ in the home
    #[arg(long, conflicts_with = "wake")]
    pub(crate) fix: bool,
    /// The agent harness that the session belongs to [default: the one the environment names for it]
    #[arg(long, value_name = "NAME", requires = "wake")]
    harness: Option<String>,
    /// Prints an array of checks
    #[arg(long)]
    pub(crate) json: bool,
}

impl DoctorArgs {
    /// Whom a test wake goes to, where one is to be sent.
    ///
    /// # Errors
    /// When the environment names something that cannot be a session.
    pub(crate) fn wake(&self) -> homing::Result<Option<Origin>> {
        let Some(session) = &self.wake else { return Ok(None) };
        let origin = Origin::from_environment(Some(session.clone()))?;
        Ok(Some(Origin { harness: self.harness.clone().or(origin.harness), ..origin }))
    }
}

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// Where to.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Directory for one page a command [default: the first page, on standard output]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
