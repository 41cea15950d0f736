//! `homing executors`: the machines that run jobs, and whether they are heard of.

use std::process::ExitCode;

use crate::exit::Failure;
use crate::open::open;
use crate::render::{print_executor_table, print_json};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing executors
  homing executors --json

An executor that is not heard of is not lost: its jobs go on, and their results come when it is reached again. \
docs/executors.md says how to add one.";

/// How to print the executors.
#[derive(Debug, clap::Args)]
pub(crate) struct ExecutorsArgs {
    /// Print an array of executors
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the configured executors.
pub(crate) fn executors(args: &ExecutorsArgs) -> Result<ExitCode, Failure> {
    let executors = open()?.executors()?;
    if args.json {
        print_json(&executors)?;
    } else {
        print_executor_table(&executors)?;
    }
    Ok(ExitCode::SUCCESS)
}
