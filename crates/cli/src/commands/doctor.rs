//! `homing doctor`: looks whether everything is as it should be, moves planted things away with `--fix`, and tries
//! with `--wake` whether a wake arrives.

use std::process::ExitCode;

use homing::{Homing, OpenOptions, Origin, SessionId, Verdict};

use super::open::open_existing;
use crate::exit::{FAILED, Failure};
use crate::render::{print_checks, print_json};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing doctor
  homing doctor --json
  homing doctor --wake chat-1                     sends a test wake the way real ones go
  homing doctor --wake 0199a-… --harness codex

Exit status: 1 where there is a problem.";

/// What is looked at, and how the findings are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Sends a test wake to this session, and looks at nothing but how it gets there
    #[arg(long, value_name = "SESSION")]
    wake: Option<SessionId>,
    /// First moves files, directories and FIFOs that are not homing's own into set-aside/ in the home
    #[arg(long, conflicts_with = "wake")]
    fix: bool,
    /// The agent harness that the session belongs to [default: the one the environment names for it]
    #[arg(long, value_name = "NAME", requires = "wake")]
    harness: Option<String>,
    /// Prints an array of checks
    #[arg(long)]
    pub(crate) json: bool,
}

impl DoctorArgs {
    /// Whom a test wake goes to, where one is to be sent.
    ///
    /// # Errors
    /// When the environment names something that cannot be a session.
    fn wake(&self) -> homing::Result<Option<Origin>> {
        let Some(session) = &self.wake else { return Ok(None) };
        let origin = Origin::from_environment(Some(session.clone()))?;
        Ok(Some(Origin { harness: self.harness.clone().or(origin.harness), ..origin }))
    }
}

/// Prints what was looked at, and fails where there is a problem.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let wake = args.wake()?;
    let mut checks = Vec::new();
    if args.fix
        && let Some(homing) = open_existing()?
    {
        checks = homing.fix()?;
    }
    checks.extend(match &wake {
        Some(origin) => Homing::open()?.try_route(origin)?,
        None => OpenOptions::new().doctor()?,
    });
    if args.json {
        print_json(&checks)?;
    } else {
        print_checks(&checks)?;
    }
    let there_is_a_problem = checks.iter().any(|check| check.verdict == Verdict::Problem);
    Ok(ExitCode::from(if there_is_a_problem { FAILED } else { 0 }))
}
