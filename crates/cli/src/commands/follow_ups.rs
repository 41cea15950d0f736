//! `homing follow-ups`: the jobs whose session still has to be told.

use std::process::ExitCode;

use homing::{FollowUpOptions, Homing};

use super::page::Page;
use crate::args::FollowUpsArgs;
use crate::exit::{Failure, say};
use crate::render::{print_follow_up_table, print_json};

/// Lists follow-ups.
pub(super) fn follow_ups(args: &FollowUpsArgs) -> Result<ExitCode, Failure> {
    let homing = Homing::open()?;
    let page = Page::of(args.limit, |limit| {
        homing.follow_ups(&FollowUpOptions { session: args.session.clone(), state: args.state, limit })
    })?;
    if args.json {
        print_json(&page.jobs)?;
    } else if page.jobs.is_empty() {
        say("no follow-ups to show: nobody has to be told of anything");
    } else {
        print_follow_up_table(&page.jobs)?;
    }
    page.tell_of_more();
    Ok(ExitCode::SUCCESS)
}
