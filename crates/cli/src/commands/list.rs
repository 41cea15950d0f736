//! `homing list`: jobs, newest first.

use std::process::ExitCode;

use homing::{ListOptions, Listing, SessionId, StateName};

use super::page::note_omitted;
use super::unreadable::note_unreadable;
use crate::exit::Failure;
use crate::open::open_existing;
use crate::render::{print_job_table, print_json, say};
use crate::values::{Limit, limit, state};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing list
  homing list --state running
  homing list --session chat-1 --limit 0 --json

Prints a table on a terminal, and tab-separated columns elsewhere.";

/// Which jobs to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// List only jobs of this session [default: all sessions]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
    /// List only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = state())]
    state: Option<StateName>,
    /// Maximum number of jobs, 0 for all
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit)]
    limit: Limit,
    /// Print an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists jobs.
pub(crate) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let homing = open_existing()?;
    let options = ListOptions { session: args.session.clone(), state: args.state, limit: args.limit.0 };
    let listing =
        homing.as_ref().map_or_else(|| Ok(Listing::default()), |homing| homing.listing(&options))?;
    if args.json {
        print_json(&listing.jobs)?;
    } else if listing.jobs.is_empty() {
        say("no jobs to show (run homing run COMMAND to launch one)");
    } else {
        print_job_table(&listing.jobs)?;
    }
    note_omitted(&listing);
    homing.iter().for_each(note_unreadable);
    Ok(ExitCode::SUCCESS)
}
