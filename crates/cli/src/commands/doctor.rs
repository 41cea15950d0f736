//! `homing doctor`: checks the installation, moves foreign files away with `--fix`, and sends a test wake with
//! `--wake`.

use std::process::ExitCode;

use homing::{Homing, OpenOptions, Origin, SessionId, Verdict};

use crate::exit::{FAILED, Failure};
use crate::open::open_existing;
use crate::render::{print_checks, print_json};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing doctor
  homing doctor --json
  homing doctor --wake chat-1                     sends a test wake to this session
  homing doctor --wake 0199a-… --harness codex
  homing doctor --on box                          reaches this executor, and runs a job there

Exit status: 1 if there is a problem.";

/// What to check, and how to print the findings.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Send a test wake to this session, and check only its delivery
    #[arg(long, value_name = "SESSION")]
    wake: Option<SessionId>,
    /// Before the checks, move foreign files, directories and FIFOs to set-aside/ in the home
    #[arg(long, conflicts_with = "wake")]
    fix: bool,
    /// Check only this executor of the configuration: reach it, and run a job there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["wake", "fix"])]
    on: Option<String>,
    /// Agent harness of the session [default: from the environment]
    #[arg(long, value_name = "NAME", requires = "wake")]
    harness: Option<String>,
    /// Print an array of checks
    #[arg(long)]
    pub(crate) json: bool,
}

impl DoctorArgs {
    /// The recipient of the test wake, if `--wake` is given.
    ///
    /// # Errors
    /// When the environment contains an invalid session id.
    fn wake(&self) -> homing::Result<Option<Origin>> {
        let Some(session) = &self.wake else { return Ok(None) };
        let origin = Origin::from_environment(Some(session.clone()))?;
        Ok(Some(Origin { harness: self.harness.clone().or(origin.harness), ..origin }))
    }
}

/// Prints the checks. Fails if one of them found a problem.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let wake = args.wake()?;
    let mut checks = Vec::new();
    if args.fix
        && let Some(homing) = open_existing()?
    {
        checks = homing.fix()?;
    }
    checks.extend(match (&wake, &args.on) {
        (_, Some(executor)) => Homing::open()?.check_executor(executor)?,
        (Some(origin), None) => Homing::open()?.try_route(origin)?,
        (None, None) => OpenOptions::new().doctor()?,
    });
    if args.json {
        print_json(&checks)?;
    } else {
        print_checks(&checks)?;
    }
    let has_problem = checks.iter().any(|check| check.verdict == Verdict::Problem);
    Ok(ExitCode::from(if has_problem { FAILED } else { 0 }))
}
