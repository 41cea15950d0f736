//! `homing rerun`: launches the command of an earlier job again.

use std::path::PathBuf;
use std::process::ExitCode;

use homing::core::text::flatten;
use homing::{Job, JobSpec, Timeout};

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
    refuse_missing(&job, &args.env)?;
    let mut spec = JobSpec::new(job.command)
        .shell(job.shell)
        .origin(origin.clone())
        .current_dir(args.cwd.unwrap_or(job.cwd))
        .timeout(job.limits.timeout.map_or(Timeout::None, Timeout::After))
        .grace(job.limits.grace)
        .output_head_bytes(job.limits.head_bytes)
        .output_tail_bytes(job.limits.tail_bytes)
        .leftovers(job.leftovers)
        .follow_up(job.follow_up_policy);
    if let Some(name) = job.name {
        spec = spec.name(name);
    }
    if let Some(sink) = job.sink {
        spec = spec.sink(sink);
    }
    for (name, value) in args.env {
        spec = spec.env(name, value);
    }
    launch(&homing, spec, &origin, args.json)
}

/// Refuses a launch that would lack variables of the earlier job.
fn refuse_missing(job: &Job, given: &[(String, String)]) -> Result<(), Failure> {
    let is_given = |name: &String| given.iter().any(|(given, _)| given == name);
    let missing: Vec<String> =
        job.env_names.iter().filter(|name| !is_given(name)).map(|name| flatten(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let options: Vec<String> = missing.iter().map(|name| format!("--env {name}=VALUE")).collect();
    Err(Failure::Usage {
        code: "missing_variables",
        message: format!(
            "job {} was launched with variables whose values are not stored: {}",
            job.id,
            missing.join(", ")
        ),
        hint: Some(format!("pass them again: homing rerun {} {}", job.id, options.join(" "))),
    })
}
