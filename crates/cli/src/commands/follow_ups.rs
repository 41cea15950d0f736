//! `homing follow-ups`: the jobs whose session still has to be told.

use std::process::ExitCode;

use homing::{FollowUpOptions, FollowUpState, Homing, Job};

use super::open::open_existing;
use super::page::Page;
use super::unreadable::note_unreadable;
use crate::args::FollowUpsArgs;
use crate::exit::{Failure, note_with_hint, say};
use crate::render::{print_follow_up_table, print_json};

/// Lists follow-ups.
pub(super) fn follow_ups(args: &FollowUpsArgs) -> Result<ExitCode, Failure> {
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
