//! The arguments of what keeps the house: `prune`, `doctor`, `completions`, `man`.

use std::path::PathBuf;
use std::time::Duration;

use clap_complete::Shell;
use homing::core::parse_duration;

/// What is old enough to go.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only jobs that ended longer ago than this [default: 7d, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) older_than: Option<Duration>,
    /// Prints a document with the ids of the jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// How the findings are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Prints an array of checks
    #[arg(long)]
    pub(crate) json: bool,
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
