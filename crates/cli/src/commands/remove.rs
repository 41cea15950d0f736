//! `homing remove`: deletes single jobs that have finished and are acknowledged. Never ends a job.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::JobId;
use serde::Serialize;

use super::selection::{AllOf, select};
use crate::exit::Failure;
use crate::render::print_json;
use crate::values::{Caller, Jobs};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing rm 3f9c
  homing rm nightly last
  homing rm --all

Deletes the output and the record of jobs that have finished and whose results are acknowledged or dropped. \
If one of the jobs still runs or is not acknowledged, deletes none of them and exits with 1. \
--all means all jobs of the session that may be deleted.";

/// Which jobs to delete.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    jobs: Jobs,
    #[command(flatten)]
    caller: Caller,
    /// Print a document with the job ids
    #[arg(long)]
    pub(crate) json: bool,
}

/// The deleted jobs as JSON.
#[derive(Serialize)]
struct RemovedDocument {
    removed: Vec<JobId>,
}

/// Deletes jobs.
pub(crate) fn remove(args: &RemoveArgs) -> Result<ExitCode, Failure> {
    let session = args.caller.session()?;
    let Some(selection) = select(&args.jobs, &session, AllOf::Settled, args.json)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let removed = selection.homing.remove(&selection.ids)?;
    if args.json {
        print_json(&RemovedDocument { removed: removed.iter().map(|job| job.id).collect() })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    for job in &removed {
        writeln!(stdout, "{}  deleted", job.id)?;
    }
    Ok(ExitCode::SUCCESS)
}
