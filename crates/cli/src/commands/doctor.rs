//! `homing doctor`: looks whether everything is as it should be, moves planted things away with `--fix`, and tries
//! with `--wake` whether a wake arrives.

use std::process::ExitCode;

use homing::{Homing, OpenOptions, Verdict};

use super::open::open_existing;
use crate::args::DoctorArgs;
use crate::exit::{FAILED, Failure};
use crate::render::{print_checks, print_json};

/// Prints what was looked at, and fails where there is a problem.
pub(super) fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
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
