//! `homing output`: what a job has written.

use std::process::ExitCode;

use homing::{Homing, JobId, JobIdPrefix};

use super::open::open_for;
use super::stream;
use crate::exit::Failure;
use crate::interrupt::explain_interrupt;
use crate::render::output::{OutputSink, RawSink, TextSink};
use crate::render::output_json::{DocumentLinesSink, DocumentSink};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing output 3f9c
  homing output 3f9c --follow
  homing output 3f9c --tail 2000
  homing output 3f9c --from 4096 --json           goes on at the \"next\" of the last document";

/// Which part of whose output is printed, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Id of the job, or the beginning of it
    job: JobIdPrefix,
    /// Goes on until the job is over
    #[arg(long)]
    follow: bool,
    /// Begins at this byte of the output
    #[arg(long, value_name = "OFFSET", default_value_t, hide_default_value = true)]
    from: u64,
    /// Begins so many bytes before the end
    #[arg(long, value_name = "BYTES", conflicts_with = "from")]
    tail: Option<u64>,
    /// Prints the exact bytes; without this, control codes are removed and rewritten lines shown as they last stood
    #[arg(long)]
    raw: bool,
    /// Prints a document with the text and the offset to go on from; with --follow, one a line
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
        (true, _) => pass_on(&homing, id, from, args.follow, RawSink::starting_at(from)),
        (false, false) => pass_on(&homing, id, from, args.follow, TextSink::starting_at(from)),
        (false, true) if args.follow => {
            pass_on(&homing, id, from, true, DocumentLinesSink::new(&homing, id, from))
        }
        (false, true) => pass_on(&homing, id, from, false, DocumentSink::new(&homing, id, from)),
    }
}

fn pass_on(
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
