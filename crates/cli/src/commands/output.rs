//! `homing output`: what a job has written.

use std::process::ExitCode;

use homing::{Homing, JobId};

use super::open::open_for;
use super::stream;
use crate::args::OutputArgs;
use crate::exit::Failure;
use crate::interrupt::explain_interrupt;
use crate::render::output::{OutputSink, RawSink, TextSink};
use crate::render::output_json::{DocumentLinesSink, DocumentSink};

/// Prints a job's output.
pub(super) fn output(args: &OutputArgs) -> Result<ExitCode, Failure> {
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
