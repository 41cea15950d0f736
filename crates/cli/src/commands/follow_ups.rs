//! `homing follow-ups`: the jobs whose session still has to be told.

use std::process::ExitCode;

use homing::{FollowUpOptions, FollowUpState, Homing, Job, SessionId};

use super::open::open_existing;
use super::page::Page;
use super::unreadable::note_unreadable;
use crate::exit::{Failure, note_with_hint, say};
use crate::render::{print_follow_up_table, print_json};
use crate::values::{Limit, follow_up_state, limit};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing follow-ups
  homing follow-ups --session chat-1 --json
  homing follow-ups --state dead

NOTE says why the session was not told yet. homing show JOB lists every attempt.";

/// Which follow-ups are listed.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowUpsArgs {
    /// Only those of this session [default: all sessions]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
    /// Only those in this state [default: those that are open: pending, handed_off and dead]
    #[arg(long, value_name = "STATE", value_parser = follow_up_state())]
    state: Option<FollowUpState>,
    /// At most so many of the newest, 0 for all
    #[arg(long, value_name = "N", default_value = "20", value_parser = limit)]
    limit: Limit,
    /// Prints an array of job documents
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists follow-ups.
pub(crate) fn follow_ups(args: &FollowUpsArgs) -> Result<ExitCode, Failure> {
    let homing = open_existing()?;
    let page = Page::of(args.limit, |limit| {
        let options = FollowUpOptions { session: args.session.clone(), state: args.state, limit };
        homing.as_ref().map_or_else(|| Ok(Vec::new()), |homing| homing.follow_ups(&options))
    })?;
    if args.json {
        print_json(&page.jobs)?;
    } else if page.jobs.is_empty() {
        say("no follow-ups to show: nobody has to be told of anything");
    } else {
        print_follow_up_table(&page.jobs)?;
    }
    page.tell_of_more();
    homing.iter().for_each(note_unreadable);
    if let Some(homing) = homing.filter(|_| !args.json) {
        say_what_can_be_done(&homing, &page.jobs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says below the table why nothing happens, where nothing does.
fn say_what_can_be_done(homing: &Homing, jobs: &[Job]) -> Result<(), Failure> {
    let has = |state| jobs.iter().any(|job| job.follow_up.state == state);
    if has(FollowUpState::Pending) && homing.active_monitor()?.is_none() {
        note_with_hint(
            "no monitor is active: what is pending stays so until one is, or until it is read or acknowledged",
            "homing monitor wakes the sessions; homing result JOB reads, homing ack JOB acknowledges",
        );
    }
    if has(FollowUpState::Dead) {
        note_with_hint(
            "what is dead is not tried any more",
            "homing show JOB says why, homing retry JOB tries again, homing drop JOB gives it up",
        );
    }
    Ok(())
}
