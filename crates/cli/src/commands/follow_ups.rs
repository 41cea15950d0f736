//! `homing follow-ups`: lists the jobs whose results are not acknowledged yet.

use std::process::ExitCode;

use homing::{FollowUpOptions, FollowUpState, Homing, Job, Listing};

use super::page::note_omitted;
use super::unreadable::note_unreadable;
use crate::exit::Failure;
use crate::open::open_existing;
use crate::render::{note_with_hint, print_follow_up_table, print_ids, print_json, say};
use crate::values::{Limit, ListedSessions, follow_up_state, limit};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing follow-ups
  homing follow-ups --session chat-1 --json
  homing follow-ups --state dead

NOTE gives the reason why the result is not delivered yet. homing show JOB lists every attempt.";

/// Which follow-ups to list.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowUpsArgs {
    #[command(flatten)]
    sessions: ListedSessions,
    /// List only follow-ups in this state [default: pending, handed_off and dead]
    #[arg(long, value_name = "STATE", value_parser = follow_up_state())]
    state: Option<FollowUpState>,
    /// Maximum number of follow-ups, 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value = "20", value_parser = limit)]
    limit: Limit,
    /// Print only the ids, one per line
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Print an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists follow-ups.
pub(crate) fn follow_ups(args: &FollowUpsArgs) -> Result<ExitCode, Failure> {
    let homing = open_existing()?;
    let options = FollowUpOptions {
        session: args.sessions.session()?,
        state: args.state,
        limit: args.limit.0,
        before: None,
    };
    let listing = homing
        .as_ref()
        .map_or_else(|| Ok(Listing::default()), |homing| homing.follow_up_listing(&options))?;
    if args.json {
        print_json(&listing.jobs)?;
    } else if args.quiet {
        print_ids(&listing.jobs)?;
    } else if listing.jobs.is_empty() {
        say("no follow-ups to show");
    } else {
        print_follow_up_table(&listing.jobs)?;
    }
    note_omitted(&listing);
    homing.iter().for_each(note_unreadable);
    if let Some(homing) = homing.filter(|_| !args.json && !args.quiet) {
        print_advice(&homing, &listing.jobs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Explains below the table why results are not delivered, and what the user can do.
fn print_advice(homing: &Homing, jobs: &[Job]) -> Result<(), Failure> {
    let has = |state| jobs.iter().any(|job| job.follow_up.state == state);
    if has(FollowUpState::Pending) && homing.active_monitor()?.is_none() {
        note_with_hint(
            "no monitor is running, so pending results are not delivered",
            "run homing monitor to deliver them, homing result JOB to read one, or homing ack JOB to acknowledge it",
        );
    }
    if has(FollowUpState::Dead) {
        note_with_hint(
            "results in state dead are not delivered again automatically",
            "run homing show JOB for the reason, homing retry JOB to try again, or homing drop JOB to give up",
        );
    }
    Ok(())
}
