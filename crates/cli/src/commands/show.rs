//! `homing show`: the details of one job.

use std::process::ExitCode;

use homing::{Homing, JobId};

use super::stream::copy;
use super::unreadable::note_unreadable_among;
use crate::exit::Failure;
use crate::open::open_for;
use crate::render::output::CollectingSink;
use crate::render::{Detail, print_detail, print_json};
use crate::values::{Caller, OneJob};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing show 3f9c
  homing show nightly
  homing show last --json";

/// Which job to show.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    job: OneJob,
    #[command(flatten)]
    caller: Caller,
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
    let session = args.caller.session()?;
    let homing = open_for(&args.job.job, &session)?;
    let id = homing.find(&args.job.job, &session)?;
    let job = homing.get(id)?;
    note_unreadable_among(&homing, |unreadable| unreadable == id);
    if args.json {
        print_json(&job)?;
    } else {
        print_detail(&Detail {
            job: &job,
            directory: Some(homing.job_path(id)).filter(|path| path.exists()),
            usage: homing.usage(id)?,
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
