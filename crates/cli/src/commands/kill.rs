//! `homing kill`: ends jobs.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{JobId, KilledBy};

use super::open::open_for;
use crate::args::KillArgs;
use crate::exit::Failure;
use crate::render::{already_finished, print_one_or_all, summary};

/// Ends jobs, and returns when they are over.
pub(super) fn kill(args: &KillArgs) -> Result<ExitCode, Failure> {
    let caller = args.caller.session()?;
    let homing = open_for(&args.jobs.jobs)?;
    let before = homing.get_all(&homing.resolve_all(&args.jobs.jobs)?)?;
    let jobs: Vec<(JobId, KilledBy)> = before.iter().map(|job| (job.id, job.killer(&caller))).collect();
    let after = homing.kill_all(&jobs)?;
    if args.json {
        print_one_or_all(&after)?;
    } else {
        let mut stdout = io::stdout().lock();
        for (before, after) in before.iter().zip(&after) {
            let line = if before.outcome().is_some() { already_finished(after) } else { summary(after) };
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
