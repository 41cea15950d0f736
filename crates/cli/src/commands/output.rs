//! `homing output`: prints or follows the output of a job.

use std::process::ExitCode;

use homing::{Homing, JobId};
use regex_lite::Regex;

use super::last_lines::offset_of_last_lines;
use super::stream;
use crate::exit::Failure;
use crate::interrupt::explain_interrupt;
use crate::open::open_for;
use crate::render::matching_lines::MatchingLinesSink;
use crate::render::output::{OutputSink, RawSink, TextSink};
use crate::render::output_json::{DocumentLinesSink, DocumentSink};
use crate::values::{Caller, OneJob};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing output 3f9c
  homing logs -f nightly
  homing output last --tail 50
  homing output 3f9c --grep 'error|warning'
  homing output 3f9c --from 4096 --json           continue from \"next\" of the last document

--follow prints text from the last 10 lines on. With --from, --tail, --tail-bytes, --grep, --raw or --json it starts \
where the command without --follow starts.";

/// Lines of text that `--follow` begins with.
const FOLLOW_LINES: u64 = 10;

/// Which part of the output to print, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    job: OneJob,
    #[command(flatten)]
    caller: Caller,
    /// Print new output until the job finishes
    #[arg(short, long)]
    follow: bool,
    /// Start at this byte offset
    #[arg(long, value_name = "OFFSET", group = "start")]
    from: Option<u64>,
    /// Start this many lines before the end
    #[arg(short = 'n', long, value_name = "LINES", group = "start")]
    tail: Option<u64>,
    /// Start this many bytes before the end
    #[arg(long, value_name = "BYTES", group = "start")]
    tail_bytes: Option<u64>,
    /// Print only lines that match this regular expression; with --tail, only among those lines
    #[arg(long, value_name = "REGEX", value_parser = Regex::new, conflicts_with_all = ["raw", "json"])]
    grep: Option<Regex>,
    /// Print the exact bytes; without this, control codes are removed and rewritten lines appear in their last form
    #[arg(long)]
    raw: bool,
    /// Print a document with the text and the offset to continue from; with --follow, one per line
    #[arg(long, conflicts_with = "raw")]
    pub(crate) json: bool,
}

/// Prints a job's output.
pub(crate) fn output(args: &OutputArgs) -> Result<ExitCode, Failure> {
    let session = args.caller.session()?;
    let homing = open_for(&args.job.job, &session)?;
    let id = homing.find(&args.job.job, &session)?;
    let from = start(args, &homing, id)?;
    if let Some(pattern) = &args.grep {
        return print_output(
            &homing,
            id,
            from,
            args.follow,
            MatchingLinesSink::starting_at(from, pattern.clone()),
        );
    }
    match (args.raw, args.json) {
        (true, _) => print_output(&homing, id, from, args.follow, RawSink::starting_at(from)),
        (false, false) => print_output(&homing, id, from, args.follow, TextSink::starting_at(from)),
        (false, true) if args.follow => {
            print_output(&homing, id, from, true, DocumentLinesSink::new(&homing, id, from))
        }
        (false, true) => print_output(&homing, id, from, false, DocumentSink::new(&homing, id, from)),
    }
}

/// The offset of the first byte to print.
fn start(args: &OutputArgs, homing: &Homing, id: JobId) -> homing::Result<u64> {
    let is_text = !args.raw && !args.json && args.grep.is_none();
    match (args.from, args.tail, args.tail_bytes) {
        (Some(offset), _, _) => Ok(offset),
        (None, Some(lines), _) => offset_of_last_lines(homing, id, lines),
        (None, None, Some(bytes)) => Ok(homing.output_end(id)?.saturating_sub(bytes)),
        (None, None, None) if args.follow && is_text => offset_of_last_lines(homing, id, FOLLOW_LINES),
        (None, None, None) => Ok(0),
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
        stream::follow(homing, id, from, &mut sink)?;
    } else {
        stream::copy(homing, id, from, &mut sink)?;
    }
    Ok(ExitCode::SUCCESS)
}
