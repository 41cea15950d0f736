//! `homing ack`, `homing retry` and `homing drop`: what becomes of follow-ups.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Homing, Job, JobId};

use super::open::open_for;
use crate::exit::Failure;
use crate::render::{follow_up_summary, print_one_or_all};
use crate::values::Jobs;

/// What the help of `ack` shows last.
pub(crate) const ACK_EXAMPLES: &str = "\
Examples:
  homing ack 3f9c
  homing ack 3f9c 81d2 --json

All of them, or where one is not over yet, none.";

/// What the help of `retry` shows last.
pub(crate) const RETRY_EXAMPLES: &str = "\
Examples:
  homing retry 3f9c
  homing retry 3f9c 81d2 --json

Dead and acknowledged ones too. All of them, or where one is not over yet, none.";

/// What the help of `drop` shows last.
pub(crate) const DROP_EXAMPLES: &str = "\
Examples:
  homing drop 3f9c
  homing drop 3f9c 81d2 --json

Of a job that still runs too: it goes on, and nobody is told of its end.";

/// Whose follow-ups are acknowledged, retried or dropped.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowUpChangeArgs {
    #[command(flatten)]
    jobs: Jobs,
    /// Prints the job document, an array of them for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Notes that the session was told.
pub(crate) fn ack(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::acknowledge)
}

/// Makes follow-ups pending again.
pub(crate) fn retry(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::retry)
}

/// Gives follow-ups up.
pub(crate) fn drop(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::drop_follow_ups)
}

fn change(
    args: &FollowUpChangeArgs,
    apply: impl FnOnce(&Homing, &[JobId]) -> homing::Result<Vec<Job>>,
) -> Result<ExitCode, Failure> {
    let homing = open_for(&args.jobs.jobs)?;
    let ids = homing.resolve_all(&args.jobs.jobs)?;
    let jobs = apply(&homing, &ids)?;
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
