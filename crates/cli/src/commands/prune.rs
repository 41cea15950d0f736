//! `homing prune`: removes what is over and told.

use std::io::{self, Write};
use std::process::ExitCode;

use homing::{JobId, PruneReport};
use serde::Serialize;

use super::open::open_existing;
use crate::args::PruneArgs;
use crate::exit::Failure;
use crate::render::print_json;

/// What was removed, for programs.
#[derive(Serialize)]
struct PruneDocument<'a> {
    removed: &'a [JobId],
    kept_running: &'a [JobId],
}

/// Removes old jobs, and says how many.
pub(super) fn prune(args: &PruneArgs) -> Result<ExitCode, Failure> {
    let report = match open_existing()? {
        Some(homing) => {
            let older_than = args.older_than.unwrap_or(homing.config().retention.finished);
            homing.prune(older_than)?
        }
        None => PruneReport::default(),
    };
    if args.json {
        print_json(&PruneDocument { removed: &report.removed, kept_running: &report.kept_running })?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "removed {}", counted(report.removed.len()))?;
    if !report.kept_running.is_empty() {
        writeln!(
            stdout,
            "kept {} with processes that were left running",
            counted(report.kept_running.len())
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn counted(jobs: usize) -> String {
    if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") }
}
