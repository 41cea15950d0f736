//! `homing wait`: waits until jobs are over.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{Job, Outcome, WaitFor, Waited};

use super::open::open_for;
use super::read::acknowledge_read;
use crate::args::WaitArgs;
use crate::exit::{FAILED, Failure, NOT_FINISHED};
use crate::interrupt::explain_interrupt;
use crate::render::{print_one_or_all, summary};

/// Waits, says how the jobs are then, and exits as they did.
pub(super) fn wait(args: &WaitArgs) -> Result<ExitCode, Failure> {
    let reader = args.caller.session()?;
    let homing = open_for(&args.jobs.jobs)?;
    let ids = homing.resolve_all(&args.jobs.jobs)?;
    explain_interrupt(&ids);
    let hold = homing.hold_delivery(&ids, &reader);
    let wait_for = if args.any { WaitFor::Any } else { WaitFor::All };
    let waited = homing.wait(&ids, wait_for, args.timeout)?;
    if args.json {
        print_one_or_all(&waited.jobs)?;
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

/// One job's own status; of several, whether all that are over succeeded.
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
