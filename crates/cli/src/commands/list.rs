//! `homing list`: jobs, newest first.

use std::process::ExitCode;

use homing::{ListOptions, SessionId, StateName};

use super::open::open_existing;
use super::page::Page;
use super::unreadable::note_unreadable;
use crate::exit::{Failure, note, say};
use crate::render::{print_job_table, print_json};
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
    let mut unsupported = Vec::new();
    let page = Page::of(args.limit, |limit| {
        let options = ListOptions { session: args.session.clone(), state: args.state, limit };
        let Some(homing) = &homing else { return Ok(Vec::new()) };
        let listing = homing.listing(&options)?;
        unsupported = listing.unsupported;
        Ok(listing.jobs)
    })?;
    if args.json {
        print_json(&page.jobs)?;
    } else if page.jobs.is_empty() {
        say("no jobs to show (run homing run COMMAND to launch one)");
    } else {
        print_job_table(&page.jobs)?;
    }
    page.note_omitted();
    homing.iter().for_each(note_unreadable);
    for job in &unsupported {
        note(&format!("job {} is not listed, because a newer version wrote it: {}", job.id, job.reason));
    }
    Ok(ExitCode::SUCCESS)
}
