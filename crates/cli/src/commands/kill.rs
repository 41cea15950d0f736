//! `homing kill`: ends jobs.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::Job;

use super::named::find_named;
use super::open::open_for;
use crate::args::KillArgs;
use crate::exit::Failure;
use crate::render::{already_over, print_one_or_all, summary};

/// Ends jobs, and returns when they are over.
pub(super) fn kill(args: &KillArgs) -> Result<ExitCode, Failure> {
    let caller = args.caller.session()?;
    let homing = open_for(&args.jobs.jobs)?;
    let ids = find_named(&homing, &args.jobs.jobs)?;
    let before: Vec<Job> = ids.iter().map(|id| homing.get(*id)).collect::<homing::Result<_>>()?;
    // All of them are asked before one is waited for: their times of grace run side by side.
    for job in &before {
        homing.request_kill(job.id, job.killer(&caller))?;
    }
    let after: Vec<Job> =
        before.iter().map(|job| homing.kill(job.id, job.killer(&caller))).collect::<homing::Result<_>>()?;
    if args.json {
        print_one_or_all(&after)?;
    } else {
        let mut stdout = io::stdout().lock();
        for (before, after) in before.iter().zip(&after) {
            let line = if before.outcome().is_some() { already_over(after) } else { summary(after) };
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
