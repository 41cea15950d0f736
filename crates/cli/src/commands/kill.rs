//! `homing kill`: kills jobs.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{JobId, KilledBy};

use super::selection::{AllOf, select_of_sessions};
use crate::exit::Failure;
use crate::render::{already_finished, print_one_or_all, summary};
use crate::values::{Caller, JobsOfSessions};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing kill 3f9c nightly
  homing kill --all

--all means the running jobs of the session, --all-sessions those of every session. Both leave out the job that \
runs this command.

Sends SIGTERM, waits for the grace period, then sends SIGKILL. Returns when no process of the jobs is left. \
Continues a stopped supervisor; kills a supervisor that cannot end its job. Does not deliver the result to \
a session that kills its own job. The session is --session, else $HOMING_SESSION, else what the agent \
harness exports, else \"default\".";

/// Which jobs to kill.
#[derive(Debug, clap::Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    jobs: JobsOfSessions,
    #[command(flatten)]
    caller: Caller,
    /// Print the job document, or an array for several jobs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Kills jobs, and returns when they have finished.
pub(crate) fn kill(args: &KillArgs) -> Result<ExitCode, Failure> {
    let caller = args.caller.session()?;
    let Some(selection) = select_of_sessions(&args.jobs, &caller, AllOf::Unfinished, args.json)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let homing = selection.homing;
    let before = homing.get_all(&selection.ids)?;
    let jobs: Vec<(JobId, KilledBy)> = before.iter().map(|job| (job.id, job.killer(&caller))).collect();
    let after = homing.kill_all(&jobs)?;
    if args.json {
        print_one_or_all(&after, selection.as_array)?;
    } else {
        let mut stdout = io::stdout().lock();
        for (before, after) in before.iter().zip(&after) {
            let line = if before.outcome().is_some() { already_finished(after) } else { summary(after) };
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
