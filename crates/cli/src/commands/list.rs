//! `homing list`: jobs, newest first.

use std::process::ExitCode;

use homing::ListOptions;

use super::open::open_existing;
use super::page::Page;
use super::unreadable::note_unreadable;
use crate::args::ListArgs;
use crate::exit::{Failure, note, say};
use crate::render::{print_job_table, print_json};

/// Lists jobs.
pub(super) fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
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
        say("no jobs to show (homing run launches one)");
    } else {
        print_job_table(&page.jobs)?;
    }
    page.tell_of_more();
    homing.iter().for_each(note_unreadable);
    for job in &unsupported {
        note(&format!("job {} is left out, a newer program wrote it: {}", job.id, job.reason));
    }
    Ok(ExitCode::SUCCESS)
}
