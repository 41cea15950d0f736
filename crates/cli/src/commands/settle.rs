//! `homing ack`, `homing retry` and `homing drop`: what becomes of follow-ups.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Homing, Job, JobId};

use super::open::open_for;
use crate::args::SettleArgs;
use crate::exit::Failure;
use crate::render::{follow_up_summary, print_one_or_all};

/// Notes that the session was told.
pub(super) fn ack(args: &SettleArgs) -> Result<ExitCode, Failure> {
    settle(args, Homing::acknowledge)
}

/// Makes follow-ups pending again.
pub(super) fn retry(args: &SettleArgs) -> Result<ExitCode, Failure> {
    settle(args, Homing::retry)
}

/// Gives follow-ups up.
pub(super) fn drop(args: &SettleArgs) -> Result<ExitCode, Failure> {
    settle(args, Homing::drop_follow_ups)
}

fn settle(
    args: &SettleArgs,
    change: impl FnOnce(&Homing, &[JobId]) -> homing::Result<Vec<Job>>,
) -> Result<ExitCode, Failure> {
    let homing = open_for(&args.jobs.jobs)?;
    let ids = homing.resolve_all(&args.jobs.jobs)?;
    let jobs = change(&homing, &ids)?;
    if args.json {
        print_one_or_all(&jobs)?;
    } else {
        let mut stdout = io::stdout().lock();
        for job in &jobs {
            writeln!(stdout, "{}", follow_up_summary(job))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
