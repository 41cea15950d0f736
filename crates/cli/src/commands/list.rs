//! `homing list`: jobs, newest first.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use homing::core::Timestamp;
use homing::{Homing, ListOptions, Listing, SessionId, StateName};

use super::page::note_omitted;
use super::unreadable::note_unreadable;
use super::watch_list::watch_list;
use crate::complete;
use crate::exit::Failure;
use crate::local_time::parse_since;
use crate::open::{open, open_existing};
use crate::render::{print_ids, print_job_table, print_json, say};
use crate::values::{Limit, ListedSessions, limit, state};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing list
  homing list --failed --since 2h
  homing list --watch
  homing list --all-sessions --limit 0 --json

Inside an agent, lists the jobs of its session; elsewhere, those of all sessions. Prints a table on a terminal, and \
tab-separated columns elsewhere. Times are local in tables, and UTC in JSON.";

/// Which jobs to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    sessions: ListedSessions,
    /// List only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = state())]
    state: Option<StateName>,
    /// List only jobs that have finished and did not succeed
    #[arg(long, conflicts_with = "state")]
    failed: bool,
    /// List only jobs launched since then: an age such as 2h, or a local time such as 2026-11-29 or 14:30
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,
    /// List only jobs with this name
    #[arg(long, value_name = "NAME", add = complete::names())]
    name: Option<String>,
    /// Maximum number of jobs, 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = limit)]
    limit: Limit,
    /// Show the list on the terminal until interrupted, and update it when jobs change
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    watch: bool,
    /// Print only the ids, one per line
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Print an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists jobs.
pub(crate) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let session = args.sessions.session()?;
    let options = ListOptions {
        session: session.clone(),
        state: args.state,
        failed: args.failed,
        since: args.since,
        name: args.name.clone(),
        limit: args.limit.0,
        ..ListOptions::default()
    };
    if args.watch {
        refuse_watch_without_terminal()?;
        return watch_list(&open()?, options);
    }
    let homing = open_existing()?;
    let listing =
        homing.as_ref().map_or_else(|| Ok(Listing::default()), |homing| homing.listing(&options))?;
    if args.json {
        print_json(&listing.jobs)?;
    } else if args.quiet {
        print_ids(&listing.jobs)?;
    } else if listing.jobs.is_empty() {
        say(&nothing_to_show(homing.as_ref(), &options, session.as_ref()));
    } else {
        print_job_table(&listing.jobs)?;
    }
    note_omitted(&listing);
    homing.iter().for_each(note_unreadable);
    Ok(ExitCode::SUCCESS)
}

/// Why the list is empty, and what to do.
fn nothing_to_show(homing: Option<&Homing>, options: &ListOptions, session: Option<&SessionId>) -> String {
    let is_filtered =
        options.state.is_some() || options.failed || options.since.is_some() || options.name.is_some();
    match session {
        _ if is_filtered && homing.is_some() => "no jobs match".to_owned(),
        Some(session) => {
            format!("no jobs to show in session {session} (run homing list --all-sessions to see all jobs)")
        }
        None => "no jobs to show (run homing run COMMAND to launch one)".to_owned(),
    }
}

/// Refuses to redraw a list where nobody sees it.
fn refuse_watch_without_terminal() -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::Usage {
        code: "not_a_terminal",
        message: "--watch redraws the list on a terminal, and standard output is not one".to_owned(),
        hint: Some("use homing list --json for one list, or homing wait to wait for jobs".to_owned()),
    })
}
