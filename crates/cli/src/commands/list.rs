//! `homing list`: jobs, newest first.

use std::process::ExitCode;

use homing::{Homing, ListOptions};

use super::page::Page;
use crate::args::ListArgs;
use crate::exit::{Failure, say};
use crate::render::{print_job_table, print_json};

/// Lists jobs.
pub(super) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let homing = Homing::open()?;
    let page = Page::of(args.limit, |limit| {
        homing.list(&ListOptions { session: args.session.clone(), state: args.state, limit })
    })?;
    if args.json {
        print_json(&page.jobs)?;
    } else if page.jobs.is_empty() {
        say("no jobs to show (homing run launches one)");
    } else {
        print_job_table(&page.jobs)?;
    }
    page.tell_of_more();
    Ok(ExitCode::SUCCESS)
}
