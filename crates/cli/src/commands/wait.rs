//! `homing wait`: waits for jobs to finish.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use homing::core::parse_duration;
use homing::{Job, Outcome, WaitFor, Waited};

use super::acknowledge_read::acknowledge_read;
use super::selection::{AllOf, select_of_sessions};
use crate::exit::{FAILED, Failure, NOT_FINISHED};
use crate::interrupt::explain_interrupt;
use crate::render::{print_one_or_all, summary};
use crate::values::{Caller, JobsOfSessions};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing wait 3f9c
  homing wait 3f9c 81d2 --timeout 10m
  homing wait --any 3f9c 81d2 --json
  homing wait --all --timeout 10m

--all means the running jobs of the session, and finished ones whose results are not acknowledged; \
--all-sessions the running jobs of every session. Both leave out the job that runs this command.

Acknowledges the results of finished jobs that belong to the session: --session, else $HOMING_SESSION, else \
what the agent harness exports, else \"default\". Results for other sessions stay pending.

Exit status for one job: its exit code; 128+n for signal n; 124 timed out; 125 killed, lost or failed to \
start. For several jobs: 0 if all finished jobs succeeded, else 1. 75 if --timeout elapses first. SIGINT, \
SIGTERM and SIGHUP stop the wait, not the job: 128+n.";

/// Which jobs to wait for, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    #[command(flatten)]
    jobs: JobsOfSessions,
    /// Return when the first job finishes, instead of all
    #[arg(long)]
    any: bool,
    /// Maximum time to wait; exits with 75 afterwards
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    caller: Caller,
    /// Print the job document, or an array for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Waits, prints the state of each job, and exits with their status.
pub(crate) fn wait(args: &WaitArgs) -> Result<ExitCode, Failure> {
    let reader = args.caller.session()?;
    // Results of other sessions are not this caller's to read.
    let all = if args.jobs.all_sessions { AllOf::Unfinished } else { AllOf::Awaited };
    let Some(selection) = select_of_sessions(&args.jobs, &reader, all, args.json)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let (homing, ids) = (selection.homing, selection.ids);
    explain_interrupt(&ids);
    let hold = homing.hold_delivery(&ids, &reader);
    let wait_for = if args.any { WaitFor::Any } else { WaitFor::All };
    let waited = homing.wait(&ids, wait_for, args.timeout)?;
    if args.json {
        print_one_or_all(&waited.jobs, selection.as_array)?;
    } else {
        let mut stdout = io::stdout().lock();
        for job in &waited.jobs {
            writeln!(stdout, "{}", summary(job))?;
        }
    }
    acknowledge_read(&homing, &reader, &waited.jobs);
    drop(hold);
    Ok(ExitCode::from(status(&waited)))
}

/// The exit status of a single job; for several, whether all finished jobs succeeded.
fn status(waited: &Waited) -> u8 {
    if !waited.satisfied {
        return NOT_FINISHED;
    }
    let mut outcomes = waited.jobs.iter().filter_map(Job::outcome);
    match &waited.jobs[..] {
        [_] => outcomes.next().map_or(NOT_FINISHED, Outcome::as_exit_status),
        _ if outcomes.all(Outcome::succeeded) => 0,
        _ => FAILED,
    }
}
