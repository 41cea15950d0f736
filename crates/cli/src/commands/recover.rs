//! `homing recover`: cleans up jobs whose supervisor died, and records their outcome.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use homing::core::text::flatten;
use homing::{JobId, RecoverOptions};
use serde::Serialize;

use crate::exit::{FAILED, Failure};
use crate::open::open;
use crate::render::print_json;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing recover
  homing recover --assume-gone        if the host that ran the jobs is gone forever

A running monitor does this automatically. Commands that only read, such as list and wait, never do it.";

/// Which jobs to recover.
#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// Also record jobs of other hosts and of unreachable executors as lost. Use it only if that machine is gone
    #[arg(long)]
    assume_gone: bool,
    /// Print a document with the job ids
    #[arg(long)]
    pub(crate) json: bool,
}

/// The result of the recovery as JSON.
#[derive(Serialize)]
struct RecoverDocument<'a> {
    recovered: &'a [JobId],
    ended_without_directory: Vec<JobId>,
    left: Vec<Unrecovered<'a>>,
    failed: Vec<Unrecovered<'a>>,
    set_aside: Vec<Moved<'a>>,
    pruned: &'a [JobId],
}

/// A foreign file that was moved away.
#[derive(Serialize)]
struct Moved<'a> {
    from: &'a Path,
    to: &'a Path,
}

/// A job that was not recovered.
#[derive(Serialize)]
struct Unrecovered<'a> {
    id: JobId,
    reason: &'a str,
}

/// Recovers jobs of this host, and reports those it cannot recover. Fails if a job could not be read or written.
pub(crate) fn recover(args: &RecoverArgs) -> Result<ExitCode, Failure> {
    let homing = open()?;
    let report = homing.recover(RecoverOptions { assume_gone: args.assume_gone })?;
    let failures: Vec<(JobId, String)> =
        report.failed.iter().map(|(id, error)| (*id, error.to_string())).collect();
    let status = ExitCode::from(if failures.is_empty() { 0 } else { FAILED });
    if args.json {
        print_json(&RecoverDocument {
            recovered: &report.recovered,
            ended_without_directory: report.ended_without_directory.iter().map(|(id, _)| *id).collect(),
            left: unrecovered(&report.left),
            failed: unrecovered(&failures),
            set_aside: report.set_aside.iter().map(|(from, to)| Moved { from, to }).collect(),
            pruned: &report.pruned,
        })?;
        return Ok(status);
    }
    let mut stdout = io::stdout().lock();
    for id in &report.recovered {
        writeln!(stdout, "{id}  recovered")?;
    }
    for (id, directory) in &report.ended_without_directory {
        writeln!(stdout, "{id}  killed: its directory {} is missing", directory.display())?;
    }
    for (id, reason) in report.left.iter().chain(&failures) {
        writeln!(stdout, "{id}  not recovered: {reason}")?;
    }
    for (from, to) in &report.set_aside {
        writeln!(stdout, "moved foreign file {} to {}", shown(from), shown(to))?;
    }
    if !report.pruned.is_empty() {
        writeln!(stdout, "old jobs removed by retention: {}", report.pruned.len())?;
    }
    let nothing_ended = report.recovered.is_empty() && report.ended_without_directory.is_empty();
    if nothing_ended && report.left.is_empty() && failures.is_empty() && report.set_aside.is_empty() {
        writeln!(stdout, "nothing to recover")?;
    }
    Ok(status)
}

/// A path on one line, without control characters.
fn shown(path: &Path) -> String {
    flatten(&path.to_string_lossy())
}

fn unrecovered(jobs: &[(JobId, String)]) -> Vec<Unrecovered<'_>> {
    jobs.iter().map(|(id, reason)| Unrecovered { id: *id, reason }).collect()
}
