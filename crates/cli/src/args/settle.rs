//! The arguments of what settles jobs and follow-ups: `wait`, `result`, `kill`, `ack`, `retry`, `drop`.

use std::time::Duration;

use homing::JobIdPrefix;
use homing::core::parse_duration;

use super::values::{Caller, Jobs};

/// Which jobs are waited for, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    /// Waits for the first that ends, not for all of them
    #[arg(long)]
    pub(crate) any: bool,
    /// Waits at most so long, then exits with 75
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Prints the job document, an array of them for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose result is read.
#[derive(Debug, clap::Args)]
pub(crate) struct ResultArgs {
    /// Id of the job, or the beginning of it
    pub(crate) job: JobIdPrefix,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Prints a document with the text and the job
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which jobs are ended.
#[derive(Debug, clap::Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    #[command(flatten)]
    pub(crate) caller: Caller,
    /// Prints the job document, an array of them for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose follow-ups are acknowledged, retried or dropped.
#[derive(Debug, clap::Args)]
pub(crate) struct SettleArgs {
    #[command(flatten)]
    pub(crate) jobs: Jobs,
    /// Prints the job document, an array of them for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}
