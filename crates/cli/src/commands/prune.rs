//! `homing prune`: removes old jobs that have finished and are acknowledged.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use homing::core::parse_duration;
use homing::{JobId, PruneOptions, PruneReport};
use serde::Serialize;

use crate::exit::{FAILED, Failure};
use crate::open::open_existing;
use crate::render::{note, print_json};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing prune
  homing prune --older-than 1d

Never removes a job whose follow-up is open (pending, handed_off or dead).";

/// Which jobs to remove.
#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// Remove only jobs that ended longer ago than this [default: 7d, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<Duration>,
    /// Print which jobs would be removed, without removing them
    #[arg(long)]
    dry_run: bool,
    /// Print a document with the job ids
    #[arg(long)]
    pub(crate) json: bool,
}

/// The removed jobs as JSON.
#[derive(Serialize)]
struct PruneDocument<'a> {
    removed: &'a [JobId],
    kept_running: &'a [JobId],
    failed: Vec<FailedDocument<'a>>,
    expired: usize,
    dry_run: bool,
}

/// A job that could not be removed.
#[derive(Serialize)]
struct FailedDocument<'a> {
    job: JobId,
    reason: &'a str,
}

/// Removes old jobs, or lists those it would remove. Fails if a job could not be removed.
pub(crate) fn prune(args: &PruneArgs) -> Result<ExitCode, Failure> {
    let report = match open_existing()? {
        Some(homing) => {
            homing.prune_with(&PruneOptions { older_than: args.older_than, dry_run: args.dry_run })?
        }
        None => PruneReport::default(),
    };
    let status = ExitCode::from(if report.failed.is_empty() { 0 } else { FAILED });
    if args.json {
        let failed = report.failed.iter().map(|(job, reason)| FailedDocument { job: *job, reason }).collect();
        print_json(&PruneDocument {
            removed: &report.removed,
            kept_running: &report.kept_running,
            failed,
            expired: report.expired,
            dry_run: args.dry_run,
        })?;
        return Ok(status);
    }
    let mut stdout = io::stdout().lock();
    if args.dry_run {
        report.removed.iter().try_for_each(|job| writeln!(stdout, "{job}"))?;
        writeln!(stdout, "would remove {}", counted(report.removed.len()))?;
    } else {
        writeln!(stdout, "removed {}", counted(report.removed.len()))?;
    }
    if report.expired > 0 {
        let verb = if args.dry_run { "would drop" } else { "dropped" };
        let s = if report.expired == 1 { "" } else { "s" };
        writeln!(stdout, "{verb} {} undelivered follow-up{s} (retention.undelivered)", report.expired)?;
    }
    if !report.kept_running.is_empty() {
        writeln!(stdout, "kept {} with running processes", counted(report.kept_running.len()))?;
    }
    for (job, reason) in &report.failed {
        note(&format!("cannot remove job {job}: {reason}"));
    }
    Ok(status)
}

fn counted(jobs: usize) -> String {
    if jobs == 1 { "1 job".to_owned() } else { format!("{jobs} jobs") }
}
