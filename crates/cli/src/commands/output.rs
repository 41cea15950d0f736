//! `homing output`: prints or follows the output of a job.

use std::process::ExitCode;

use homing::{Homing, JobId, JobIdPrefix};

use super::stream;
use crate::exit::Failure;
use crate::interrupt::explain_interrupt;
use crate::open::open_for;
use crate::render::output::{OutputSink, RawSink, TextSink};
use crate::render::output_json::{DocumentLinesSink, DocumentSink};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing output 3f9c
  homing output 3f9c --follow
  homing output 3f9c --tail 2000
  homing output 3f9c --from 4096 --json           continue from \"next\" of the last document";

/// Which part of the output to print, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Job id, or a unique prefix of it
    job: JobIdPrefix,
    /// Print new output until the job finishes
    #[arg(long)]
    follow: bool,
    /// Start at this byte offset
    #[arg(long, value_name = "OFFSET", default_value_t, hide_default_value = true)]
    from: u64,
    /// Start this many bytes before the end
    #[arg(long, value_name = "BYTES", conflicts_with = "from")]
    tail: Option<u64>,
    /// Print the exact bytes; without this, control codes are removed and rewritten lines appear in their last form
    #[arg(long)]
    raw: bool,
    /// Print a document with the text and the offset to continue from; with --follow, one per line
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

/// Prints a job's output.
pub(crate) fn output(args: &OutputArgs) -> Result<ExitCode, Failure> {
    let homing = open_for(std::slice::from_ref(&args.job))?;
    let id = homing.resolve(&args.job)?;
    let from = match args.tail {
        Some(bytes) => homing.output_end(id)?.saturating_sub(bytes),
        None => args.from,
    };
    match (args.raw, args.json) {
        (true, _) => print_output(&homing, id, from, args.follow, RawSink::starting_at(from)),
        (false, false) => print_output(&homing, id, from, args.follow, TextSink::starting_at(from)),
        (false, true) if args.follow => {
            print_output(&homing, id, from, true, DocumentLinesSink::new(&homing, id, from))
        }
        (false, true) => print_output(&homing, id, from, false, DocumentSink::new(&homing, id, from)),
    }
}

fn print_output(
    homing: &Homing,
    id: JobId,
    from: u64,
    follow: bool,
    mut sink: impl OutputSink,
) -> Result<ExitCode, Failure> {
    if follow {
        explain_interrupt(&[id]);
        stream::follow(homing, id, from, None, &mut sink)?;
    } else {
        stream::copy(homing, id, from, &mut sink)?;
    }
    Ok(ExitCode::SUCCESS)
}
