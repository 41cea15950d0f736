//! `homing ack`, `homing retry` and `homing drop`: change the state of follow-ups.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Homing, Job, JobId};

use super::selection::{AllOf, select};
use crate::exit::Failure;
use crate::render::{follow_up_summary, print_one_or_all};
use crate::values::{Caller, Jobs};

/// The end of the help text of `ack`.
pub(crate) const ACK_EXAMPLES: &str = "\
Examples:
  homing ack 3f9c
  homing ack --all

If one of the jobs has not finished, changes none of them. --all means all results of the session that are not \
acknowledged.";

/// The end of the help text of `retry`.
pub(crate) const RETRY_EXAMPLES: &str = "\
Examples:
  homing retry 3f9c
  homing retry --all --session chat-1

Also applies to dead and acknowledged results. If one of the jobs has not finished, changes none of them. --all \
means all results of the session that are not acknowledged.";

/// The end of the help text of `drop`.
pub(crate) const DROP_EXAMPLES: &str = "\
Examples:
  homing drop 3f9c
  homing drop --all

A running job keeps running; its result is not delivered. --all means all results of the session that are not \
acknowledged, but no running jobs.";

/// Which follow-ups to acknowledge, retry or drop.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowUpChangeArgs {
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    caller: Caller,
    /// Print the job document, or an array for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Acknowledges results.
pub(crate) fn ack(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::acknowledge)
}

/// Makes follow-ups pending again.
pub(crate) fn retry(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::retry)
}

/// Drops follow-ups, so that their results are not delivered.
pub(crate) fn drop(args: &FollowUpChangeArgs) -> Result<ExitCode, Failure> {
    change(args, Homing::drop_follow_ups)
}

fn change(
    args: &FollowUpChangeArgs,
    apply: impl FnOnce(&Homing, &[JobId]) -> homing::Result<Vec<Job>>,
) -> Result<ExitCode, Failure> {
    let session = args.caller.session()?;
    let Some(selection) = select(&args.jobs, &session, AllOf::Undelivered, args.json)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let jobs = apply(&selection.homing, &selection.ids)?;
    if args.json {
        print_one_or_all(&jobs, selection.as_array)?;
    } else {
        let mut stdout = io::stdout().lock();
        for job in &jobs {
            writeln!(stdout, "{}", follow_up_summary(job))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
