//! `homing show`: the details of one job.

use std::process::ExitCode;

use homing::{Homing, JobId, JobIdPrefix};

use super::stream::copy;
use super::unreadable::note_unreadable_among;
use crate::exit::Failure;
use crate::open::open_for;
use crate::render::output::CollectingSink;
use crate::render::{Detail, print_detail, print_json};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing show 3f9c
  homing show 3f9c --json";

/// Which job to show.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Job id, or a unique prefix of it
    job: JobIdPrefix,
    /// Print the job document
    #[arg(long)]
    pub(crate) json: bool,
}

/// Number of output lines to show.
const MAX_LINES: usize = 10;

/// Bytes at the end of the output that are searched for these lines.
const TAIL_BYTES: u64 = 8 * 1024;

/// Shows one job.
pub(crate) fn show(args: &ShowArgs) -> Result<ExitCode, Failure> {
    let homing = open_for(std::slice::from_ref(&args.job))?;
    let id = homing.resolve(&args.job)?;
    let job = homing.get(id)?;
    note_unreadable_among(&homing, |unreadable| unreadable == id);
    if args.json {
        print_json(&job)?;
    } else {
        print_detail(&Detail {
            job: &job,
            directory: Some(homing.job_path(id)).filter(|path| path.exists()),
            wakes: homing.wakes_of(id)?,
            last_lines: last_lines(&homing, id)?,
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last lines of the output, without control codes.
fn last_lines(homing: &Homing, id: JobId) -> Result<Vec<String>, Failure> {
    let from = homing.output_end(id)?.saturating_sub(TAIL_BYTES);
    let mut sink = CollectingSink::starting_at(from);
    copy(homing, id, from, &mut sink)?;
    let lines: Vec<&str> = sink.text().lines().collect();
    Ok(lines[lines.len().saturating_sub(MAX_LINES)..].iter().map(|line| (*line).to_owned()).collect())
}
