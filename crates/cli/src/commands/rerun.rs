//! `homing rerun`: launches the command of an earlier job again.

use std::path::PathBuf;
use std::process::ExitCode;

use homing::JobSpec;

use super::run::launch;
use crate::exit::Failure;
use crate::open::open_for;
use crate::values::{Caller, OneJob, assignment};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing rerun 3f9c
  homing rerun nightly --env TOKEN=secret
  homing wait $(homing rerun last)

Launches a new job with the command, shell, directory, name, limits, follow-up policy and sink of the earlier job, and \
prints its id. Uses the environment and the session of this call. The values of --env are never stored, so pass \
those of the earlier job again. The key of the earlier job is not used again.

Exit status: 0 launched; 1 the command could not be started; 2 variables are missing.";

/// Which job to launch again.
#[derive(Debug, clap::Args)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    job: OneJob,
    #[command(flatten)]
    caller: Caller,
    /// Set an environment variable in addition to the inherited ones; repeatable, never written to disk
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// Working directory of the job [default: that of the earlier job]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Print the job as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Launches the command of a job again.
pub(crate) fn rerun(args: RerunArgs) -> Result<ExitCode, Failure> {
    let origin = args.caller.origin()?;
    let homing = open_for(&args.job.job, &origin.session)?;
    let job = homing.get(homing.find(&args.job.job, &origin.session)?)?;
    let mut spec = JobSpec::again(&job).origin(origin.clone());
    if let Some(directory) = args.cwd {
        spec = spec.current_dir(directory);
    }
    for (name, value) in args.env {
        spec = spec.env(name, value);
    }
    launch(&homing, spec, &origin, args.json)
}
